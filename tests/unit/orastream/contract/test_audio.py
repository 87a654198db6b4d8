"""Sizes and durations of PCM, and WAV headers, checked with the standard library's WAV reader."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import (
    EXTENSIONS,
    FORMATS,
    UNKNOWN_SIZE,
    WAV_HEADER_BYTES,
    PcmSpec,
    header_bytes,
    wav_header,
    with_true_sizes,
)

pytestmark = pytest.mark.unit

SPECS = st.builds(PcmSpec, st.sampled_from([8000, 11025, 16000, 22050, 24000, 44100, 48000]), st.integers(1, 2))


@settings(max_examples=40)
@given(SPECS, st.integers(0, 300))
def test_with_true_sizes_makes_a_valid_wav_file(spec: PcmSpec, frames: int) -> None:
    pcm = bytes(i & 0xFF for i in range(frames * spec.frame_bytes))
    streamed = bytearray(wav_header(spec) + pcm)
    assert struct.unpack_from("<I", streamed, 4)[0] == struct.unpack_from("<I", streamed, 40)[0] == UNKNOWN_SIZE
    whole = with_true_sizes(streamed)
    assert whole is streamed
    assert bytes(whole) == wav_header(spec, len(pcm)) + pcm
    with wave.open(io.BytesIO(bytes(whole))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (
            spec.channels,
            2,
            spec.sample_rate_hz,
        )
        assert file.getnframes() == frames
        assert file.readframes(frames + 1) == pcm


@settings(max_examples=40)
@given(SPECS, st.floats(0, 10_000))
def test_bytes_for_ms_returns_the_most_whole_samples_within_the_duration(spec: PcmSpec, ms: float) -> None:
    size = spec.bytes_for_ms(ms)
    assert size % spec.frame_bytes == 0
    assert spec.seconds(size) * 1000 <= ms + 1e-6
    assert spec.seconds(size + spec.frame_bytes) * 1000 > ms - 1e-6


def test_sizes_in_bytes_and_seconds_are_as_documented() -> None:
    assert PcmSpec(24000).bytes_for_ms(80) == 3840
    assert PcmSpec(24000, 2).bytes_for_ms(80) == 7680
    assert PcmSpec(16000).seconds(32000) == 1.0
    assert PcmSpec(22050).bytes_for_ms(0) == 0
    assert len(wav_header(PcmSpec(24000))) == WAV_HEADER_BYTES == header_bytes("wav")
    assert header_bytes("pcm16") == 0
    assert set(EXTENSIONS) == set(FORMATS)


@pytest.mark.parametrize("data", [b"", b"RIFF", wav_header(PcmSpec(8000))[:43], b"\0" * 60, b"OggS" + b"\0" * 60])
def test_with_true_sizes_refuses_data_without_a_streamed_wav_header(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a WAV file"):
        with_true_sizes(bytearray(data))
