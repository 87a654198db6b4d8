"""The `text` messages that go before a chunk. That all words arrive once is tested in `test_multiplex_machine.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.oraserver.from_bridge import SentenceText
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from orastream.delivery.rules.streams.sentence_texts import texts_of

pytestmark = pytest.mark.unit

FIRST = SentenceStart(3, 900, "네, 2025년요.", 10, 19)
NEXT = SentenceStart(4, 2000, "Yes.", 20, 24)
NUMBER = (WordTime(3, 13, 18, 1000, 1400), WordTime(3, 13, 18, 1400, 1800))
"""Two words that are said for one number."""
YES = WordTime(4, 20, 23, 2000, 2300)


def chunk(*sentences: SentenceStart, words: tuple[WordTime, ...] = ()) -> AudioChunk:
    return AudioChunk(1, 7, 950, 3, b"audio", offset=700, sentences=sentences, words=words)


def test_a_chunk_without_a_new_sentence_and_without_words_needs_no_text() -> None:
    assert not list(texts_of(chunk()))


def test_the_words_of_a_chunk_go_with_their_sentences_in_order() -> None:
    end, begin = texts_of(chunk(NEXT, words=(*NUMBER, YES)), FIRST)
    assert end == SentenceText(1, 3, 900, "네, 2025년요.", 10, 19, ((13, 5, 1000, 1400), (13, 5, 1400, 1800)))
    assert begin == SentenceText(1, 4, 2000, "Yes.", 20, 24, ((20, 3, 2000, 2300),))


def test_a_sentence_without_words_in_the_chunk_has_no_words() -> None:
    assert [text.words for text in texts_of(chunk(NEXT, words=(YES,)), FIRST)] == [None, ((20, 3, 2000, 2300),)]


def test_words_of_a_sentence_that_is_not_known_are_left_out() -> None:
    (begin,) = texts_of(chunk(NEXT, words=NUMBER))
    assert (begin.number, begin.words) == (4, None)


@given(st.lists(st.tuples(st.integers(3, 6), st.integers(0, 9)), max_size=9))
def test_each_word_of_a_known_sentence_is_in_one_text(given: list[tuple[int, int]]) -> None:
    words = tuple(WordTime(n, place, place + 1, 10 * i, 10 * i + 9) for i, (n, place) in enumerate(sorted(given)))
    texts = list(texts_of(chunk(NEXT, SentenceStart(5, 3000, "x"), words=words), FIRST))
    assert [text.number for text in texts] == [3, 4, 5]
    found = [(text.number, first, first + n, begin, end) for text in texts for first, n, begin, end in text.words or ()]
    assert found == [word for word in words if word.sentence != 6]
