"""Samples from the bytes of an answer: PCM, or WAV, for any split of the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.openai_speech.speech_audio import SpeechAudio
from tests.support.gpt_sovits_speech import wav

pytestmark = pytest.mark.unit


def read(audio: SpeechAudio, data: bytes, cuts: list[int]) -> bytes:
    out, at = b"", 0
    for cut in sorted({c % (len(data) + 1) for c in cuts} | {len(data)}):
        out += audio.push(data[at:cut])
        assert audio.rate_hz is not None or not out
        at = cut
    return out + audio.end()


CUTS = st.lists(st.integers(0, 200))


@given(st.binary(max_size=99), CUTS)
def test_pcm_is_returned_in_whole_samples(pcm: bytes, cuts: list[int]) -> None:
    audio = SpeechAudio(24_000)
    assert read(audio, pcm, cuts) == pcm[: len(pcm) // 2 * 2]
    assert audio.rate_hz == (24_000 if pcm else None)


@given(st.sampled_from([b"RIFF", b"RI", b"RIFF\0\0\0\0WAV", b"RIFF\0\0\0\0XXXX1234"]), CUTS)
def test_pcm_that_begins_like_a_file_is_still_pcm(pcm: bytes, cuts: list[int]) -> None:
    assert read(SpeechAudio(24_000), pcm, cuts) == pcm[: len(pcm) // 2 * 2]


@given(st.binary(max_size=60).filter(lambda b: len(b) % 2 == 0), CUTS, st.booleans())
def test_wav_is_read_whether_it_was_asked_for_or_not(pcm: bytes, cuts: list[int], asked: bool) -> None:
    audio = SpeechAudio(24_000, wav=asked)
    assert read(audio, wav(pcm, 22_050), cuts) == pcm
    assert audio.rate_hz == 22_050 and audio.missing_bytes == 0


def test_pcm_is_no_wav_if_wav_was_asked_for() -> None:
    with pytest.raises(ValueError, match="it is not WAV"):
        SpeechAudio(24_000, wav=True).push(b"\1\0" * 20)


@pytest.mark.parametrize(
    ("content_type", "rate_hz"),
    [
        ("audio/pcm", 24_000),
        ("audio/pcm; rate=16000", 16_000),
        ('audio/L16;channels=1;rate="44100"', 44_100),
        ("audio/pcm; rate=1", 24_000),
        ("audio/pcm; rate=999999", 24_000),
        ("audio/pcm; bitrate=16000", 24_000),
    ],
)
def test_rate_in_the_content_type(content_type: str, rate_hz: int) -> None:
    audio = SpeechAudio(24_000, content_type)
    audio.push(bytes(20))
    assert audio.rate_hz == rate_hz


def test_several_channels_in_the_content_type_are_refused() -> None:
    with pytest.raises(ValueError, match="not mono PCM16: 2 channels"):
        SpeechAudio(24_000, "audio/L16; rate=24000; channels=2")
