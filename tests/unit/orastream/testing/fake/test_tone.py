"""The audio of `FakeNode`: it depends on the text alone, and its chunks fit together."""

from __future__ import annotations

import wave
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio import with_true_sizes
from orastream.testing.fake.tone import MS_PER_CHARACTER, ToneVoice, sentences_of

pytestmark = pytest.mark.unit


def spoken(text: str, fmt: str = "wav", rate_hz: int = 24_000, speed: float = 1.0) -> ToneVoice:
    return ToneVoice(1, fmt, rate_hz, with_text=False, speed=speed)


@given(st.text(max_size=60), st.integers(0, 60))
def test_sentences_are_the_same_however_the_text_comes(text: str, cut: int) -> None:
    begun = list(sentences_of(text[:cut], 0, ended=False))
    place = begun[-1][0] + len(begun[-1][1]) if begun else 0
    rest = list(sentences_of(text, place, ended=True))
    together = "".join(sentence for _, sentence in begun + rest)
    assert "".join(together.split()) == "".join(text.split())
    assert all(text[at : at + len(sentence)] == sentence for at, sentence in begun + rest)


def test_a_wav_is_a_valid_file_whose_length_follows_from_the_text() -> None:
    voice = spoken("")
    chunks = [c for at, s in sentences_of("Hello there. Bye!", 0, ended=True) for c in voice.speak(at, s)]
    with wave.open(BytesIO(with_true_sizes(bytearray(b"".join(chunk.audio for chunk in chunks))))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() / 24 == MS_PER_CHARACTER * len("Hello there.Bye!")
    assert [chunk.index for chunk in chunks] == list(range(voice.chunks))
    assert sum(len(chunk.audio) for chunk in chunks) == voice.size
    assert [w.end - w.first for chunk in chunks for w in chunk.words] == [5, 6, 4]
    assert [(s.text, s.ms) for chunk in chunks for s in chunk.sentences] == [("Hello there.", 0), ("Bye!", 720)]


def test_speed_and_rate_and_format_change_the_length_as_they_say() -> None:
    lengths = {}
    for name, voice in {
        "plain": spoken("", "pcm16"),
        "fast": spoken("", "pcm16", speed=2.0),
        "mulaw": spoken("", "mulaw", 8_000),
    }.items():
        lengths[name] = len(b"".join(chunk.audio for chunk in voice.speak(0, "abcdefghij")))
    assert lengths == {"plain": 28_800, "fast": 14_400, "mulaw": 4_800}
