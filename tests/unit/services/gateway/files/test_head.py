"""The header of a finished file has its true lengths, and nothing else of the file changes."""

from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest

from orastream.contract.audio import Format, PcmSpec, wav_header
from orastream.contract.audio_messages import AudioEnd, AudioStart, EndStatus
from services.gateway.files.head import HEAD_BYTES, finished_head
from services.synth.audio.encoder import encoder_of

pytestmark = pytest.mark.unit

RATE_HZ = 22_050
SAMPLES = 50_001
PCM = (np.sin(np.arange(SAMPLES) / 20) * 9_000).astype("<i2").tobytes()


def finished(fmt: Format, file: bytes, *, samples: int = SAMPLES, status: EndStatus = "complete") -> bytes:
    start = AudioStart(1, fmt, RATE_HZ, 1, "espeak", "ko")
    end = AudioEnd(1, status, 1, len(file), samples / RATE_HZ if status == "complete" else 0.0)
    head = finished_head(file[:HEAD_BYTES], len(file), start, end)
    assert len(head) == min(HEAD_BYTES, len(file)), "no byte changes its place"
    return head + file[HEAD_BYTES:]


def coded(fmt: Format, rate_hz: int = RATE_HZ) -> bytes:
    encoder = encoder_of(fmt, rate_hz, {"comment": "Synthetic speech"})
    return encoder.push(PCM) + encoder.finish()


@pytest.mark.parametrize("status", ["complete", "cancelled"])
def test_wav_has_its_true_sizes(status: EndStatus) -> None:
    file = finished("wav", wav_header(PcmSpec(RATE_HZ)) + PCM, status=status)
    with wave.open(io.BytesIO(file)) as read:
        assert (read.getnframes(), read.readframes(SAMPLES + 1)) == (SAMPLES, PCM)
    assert int.from_bytes(file[4:8], "little") == len(file) - 8


def test_flac_has_its_samples_and_decodes_to_the_same() -> None:
    streamed = coded("flac")
    with av.open(io.BytesIO(streamed)) as container:
        assert container.duration is None or container.duration <= 0
    file = finished("flac", streamed)
    assert [at for at in range(len(file)) if file[at] != streamed[at]] in ([23, 24, 25], [24, 25]), "samples alone"
    with av.open(io.BytesIO(file)) as container:
        assert container.duration == pytest.approx(SAMPLES / RATE_HZ * 1e6, abs=50)
        assert container.streams.audio[0].duration == SAMPLES
        decoded = b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))
    assert decoded == PCM
    assert finished("flac", file) == file, "it is written once"


def test_flac_that_was_cut_leaves_its_samples_open() -> None:
    streamed = coded("flac")
    assert finished("flac", streamed, status="cancelled") == streamed


@pytest.mark.parametrize("samples", [0, 1 << 36])
def test_flac_with_a_number_of_samples_that_it_cannot_have_is_left_as_it_is(samples: int) -> None:
    streamed = coded("flac")
    assert finished("flac", streamed, samples=samples) == streamed


def test_other_formats_are_left_as_they_are() -> None:
    for fmt in ("opus", "mp3", "aac"):
        streamed = coded(fmt, 24_000)
        assert finished(fmt, streamed) == streamed
    for fmt in ("pcm16", "mulaw", "alaw"):
        assert finished(fmt, wav_header(PcmSpec(RATE_HZ)) + PCM) == wav_header(PcmSpec(RATE_HZ)) + PCM


@pytest.mark.parametrize(
    ("fmt", "file"),
    [
        ("wav", b""),
        ("wav", b"RIFF"),
        ("wav", b"RIFF first second third"),
        ("wav", b"\xff" * 60),
        ("wav", wav_header(PcmSpec(RATE_HZ), 10) + PCM),
        ("flac", b""),
        ("flac", b"fLaC"),
        ("flac", b"fLaC\x04\0\0\x22" + b"\0" * 40),
        ("flac", b"fLaC\0\0\0\x22" + b"\0" * 40),
        ("flac", coded("flac", 24_000)),
    ],
)
def test_header_that_synth_did_not_write_is_left_as_it_is(fmt: Format, file: bytes) -> None:
    assert finished(fmt, file) == file


def test_wav_of_more_than_its_sizes_can_say_leaves_them_open() -> None:
    head = wav_header(PcmSpec(RATE_HZ))
    start, end = AudioStart(1, "wav", RATE_HZ, 1, "espeak", "ko"), AudioEnd(1, "complete", 1, 1, 1.0)
    assert finished_head(head, 0xFFFFFFFF + 8, start, end) == head
    assert finished_head(head, 0xFFFFFFFE + 8, start, end)[4:8] == b"\xfe\xff\xff\xff"
