"""The text of an utterance in parts with times: words where the engine knows them, else sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from orastream.integrations.live_transcript import LiveTranscript, TranscriptPart

pytestmark = pytest.mark.unit


def chunk(*events: SentenceStart | WordTime) -> AudioChunk:
    starts = tuple(event for event in events if isinstance(event, SentenceStart))
    return AudioChunk(1, 0, 0, 0, b"..", None, 0, starts, tuple(e for e in events if isinstance(e, WordTime)))


def test_words_have_the_marks_and_the_white_space_after_them() -> None:
    text, transcript = "“Well,” he said. Go!", LiveTranscript()
    first = chunk(SentenceStart(0, 0, text[:16], 0, 16), WordTime(0, 1, 5, 10, 300), WordTime(0, 8, 10, 310, 400))
    assert transcript.add(first, text) == [("“Well,” ", 10, 300), ("he ", 310, 400)]
    second = chunk(WordTime(0, 11, 15, 410, 700), SentenceStart(1, 900, "Go!", 17, 20))
    assert transcript.add(second, text) == [("said. ", 410, 700)]
    assert transcript.rest(text, 1400) == [("Go!", 700, 1400)]
    assert transcript.rest(text, 1400) == []


def test_several_words_of_one_number_give_its_text_once() -> None:
    text, transcript = "14일에 2025년", LiveTranscript()
    words = [WordTime(0, 0, 3, 0, 400), WordTime(0, 0, 4, 400, 600), *(WordTime(0, 5, 10, 600, 900),) * 3]
    assert [part.text for part in transcript.add(chunk(*words), text)] == ["14일", "에 ", "2025년"]


def test_without_words_a_sentence_comes_when_the_next_one_begins() -> None:
    text, transcript = "One. Two. Three.", LiveTranscript()
    assert transcript.add(chunk(SentenceStart(0, 0, "One.", 0, 4)), text) == []
    assert transcript.add(chunk(SentenceStart(1, 800, "Two.", 5, 9)), text) == [("One. ", 0, 800)]
    assert transcript.add(chunk(SentenceStart(2, 1600, "Three.", 10, 16)), text) == [("Two. ", 800, 1600)]
    assert transcript.rest(text, 2400) == [("Three.", 1600, 2400)]


def test_a_sentence_that_is_spoken_again_yields_nothing_again() -> None:
    text, transcript = "One two.", LiveTranscript()
    transcript.add(chunk(SentenceStart(0, 0, text, 0, 8), WordTime(0, 0, 3, 0, 400)), text)
    again = chunk(SentenceStart(0, 500, text, 0, 8), WordTime(0, 0, 3, 500, 900), WordTime(0, 4, 7, 900, 1200))
    assert transcript.add(again, text) == [("two.", 900, 1200)]


def test_a_place_beyond_the_text_is_ignored() -> None:
    transcript = LiveTranscript()
    assert transcript.add(chunk(WordTime(0, 0, 99, 0, 400), SentenceStart(1, 0, "x", 50, 51)), "Hello.") == []
    assert transcript.add(chunk(SentenceStart(0, 0, "Hello.")), "Hello.") == []  # synth does not know its place
    assert transcript.rest("Hello.", 700) == [("Hello.", 0, 700)]


numbers = st.integers(0, 40)
word_times = st.builds(
    lambda sentence, first, length, begin, lasts: WordTime(sentence, first, first + length, begin, begin + lasts),
    *(numbers,) * 5,
)
sentence_starts = st.builds(lambda number, ms, first: SentenceStart(number, ms, "", first, first), *(numbers,) * 3)


@given(st.text(max_size=30), st.lists(st.lists(word_times | sentence_starts, max_size=4), max_size=6))
def test_the_parts_joined_are_the_text_whatever_the_node_says(
    text: str, chunks: list[list[WordTime | SentenceStart]]
) -> None:
    transcript, parts = LiveTranscript(), list[TranscriptPart]()
    for events in chunks:
        parts += transcript.add(chunk(*events), text)
    parts += transcript.rest(text, 2000)
    assert "".join(part.text for part in parts) == text
    assert all(part.text and 0 <= part.begin_ms <= part.end_ms for part in parts)
