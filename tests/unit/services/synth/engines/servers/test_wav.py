"""Samples from the bytes of an answer in WAV."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.servers.wav import WavReader

pytestmark = pytest.mark.unit


def header(
    rate_hz: int, size: int = 0, *, channels: int = 1, bits: int = 16, code: int = 1, extra: bytes = b""
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * block, block, bits)
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + fmt + extra + b"data" + struct.pack("<I", size)


def read(data: bytes, cuts: list[int]) -> tuple[int | None, bytes]:
    reader, out, at = WavReader(), b"", 0
    for cut in sorted({c % (len(data) + 1) for c in cuts} | {len(data)}):
        out += reader.push(data[at:cut])
        at = cut
    return reader.rate_hz, out


@given(st.binary(max_size=99), st.lists(st.integers(0, 200)), st.sampled_from([24_000, 32_000, 48_000]))
def test_reader_returns_the_samples_for_any_split_of_the_stream(pcm: bytes, cuts: list[int], rate_hz: int) -> None:
    """Half a sample at the end is dropped."""
    assert read(header(rate_hz) + pcm, cuts) == (rate_hz, pcm[: len(pcm) // 2 * 2])
    assert read(header(rate_hz, 0xFFFFFFFF) + pcm, cuts) == (rate_hz, pcm[: len(pcm) // 2 * 2])


@given(st.binary(max_size=60).filter(lambda b: len(b) % 2 == 0 and b), st.lists(st.integers(0, 200)))
def test_reader_ignores_riff_chunks_after_the_samples(pcm: bytes, cuts: list[int]) -> None:
    data = header(32_000, len(pcm), extra=b"LIST\x03\0\0\0abc\0") + pcm + b"LIST\x04\0\0\0info"
    assert read(data, cuts) == (32_000, pcm)


@given(st.integers(1, 60), st.integers(0, 70), st.lists(st.integers(0, 200)))
def test_missing_bytes_counts_announced_bytes_that_did_not_arrive(size: int, came: int, cuts: list[int]) -> None:
    data, reader, at = header(32_000, size) + bytes(came), WavReader(), 0
    for cut in sorted({c % (len(data) + 1) for c in cuts} | {len(data)}):
        reader.push(data[at:cut])
        at = cut
    assert reader.missing_bytes == max(size - came, 0)


@pytest.mark.parametrize("size", [0, (1 << 28) + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFD3, 0xFFFFFFFF])
def test_missing_bytes_is_zero_for_a_stream(size: int) -> None:
    reader = WavReader()
    assert reader.push(header(32_000, size) + b"\1\0") == b"\1\0"
    assert reader.missing_bytes == 0


@given(st.integers(0, 43))
def test_reader_returns_nothing_when_the_answer_ends_inside_its_header(size: int) -> None:
    assert read(header(32_000)[:size], []) == (None, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"OggS",
        b"RIFF\0\0\0\0AVI ",
        header(32_000, channels=2),
        header(32_000, bits=8),
        header(32_000, code=3),
        header(1_000),
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVELIST\xff\xff\0\0",
    ],
)
def test_reader_refuses_data_that_is_no_wav(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is not|its "):
        WavReader().push(data)
