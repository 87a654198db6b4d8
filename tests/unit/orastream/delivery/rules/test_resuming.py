"""Where the audio goes on, as OraServer says; how the delivery uses it is in `test_resuming_delivery.py`."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from orastream.delivery.rules.resuming import OpenState, Resuming

pytestmark = pytest.mark.unit


def chunk(index: int, *sentences: int) -> AudioChunk:
    starts = tuple(SentenceStart(number, 0, f"sentence {number}") for number in sentences)
    return AudioChunk(1, index, 0, 0, bytes(100), offset=100 * index, sentences=starts)


def test_nothing_is_written_before_the_answer() -> None:
    resuming = Resuming(most=300)
    assert not resuming.resumes and not resuming.opens
    resuming.link_up(resumes=True)
    assert resuming.opens and resuming.has(100) is None and not resuming.asked_before
    resuming.asked()
    assert resuming.opens and resuming.asked_before
    assert not resuming.answered(300), "as much as before"
    assert (resuming.opens, resuming.state) == (False, OpenState.OPEN)
    assert [resuming.has(end) for end in (299, 300, 301)] == [True, True, False]


def test_an_answer_counts_for_its_link_only() -> None:
    resuming = Resuming(most=0)
    resuming.link_up(resumes=True)
    resuming.asked()
    assert resuming.answered(200)
    resuming.link_lost()
    assert resuming.resumes and resuming.has(100) is None
    resuming.link_up(resumes=True)
    resuming.asked()
    assert not resuming.answered(100), "it has forgotten some"
    assert resuming.has(200) is False
    assert resuming.answered(201), "more than ever before"
    resuming.link_up(resumes=False)
    assert not resuming.resumes and not resuming.opens


def test_the_sentence_of_the_chunks_that_oraserver_has_is_given_with_the_next_one() -> None:
    resuming = Resuming(most=0)
    for number, sentences in enumerate([(0,), (1, 2), ()]):
        resuming.passes(chunk(number, *sentences), 100 * number + 100)
    assert resuming.passed == 300
    began = resuming.writes(chunk(3, 3))
    assert began is not None and began.number == 2
    assert resuming.passed == 400
    assert resuming.writes(chunk(4)) is None, "OraServer knows it now"
    resuming.start_over()
    assert resuming.passed == 0


def test_a_sentence_is_given_with_each_later_chunk_in_which_its_words_end() -> None:
    resuming = Resuming(most=0)
    resuming.link_up(resumes=True)
    assert resuming.writes(chunk(0, 0)) is None
    assert resuming.writes(chunk(1)) is None
    words = (WordTime(0, 0, 2, 0, 9), WordTime(1, 3, 5, 9, 20))
    ends = chunk(2, 1)
    ends.words = words
    began = resuming.writes(ends)
    assert began is not None and began.number == 0
    ends = chunk(3)
    ends.words = words[1:]
    began = resuming.writes(ends)
    assert began is not None and began.number == 1
    assert resuming.writes(chunk(4)) is None


def test_a_sentence_that_begins_again_is_given_once() -> None:
    resuming = Resuming(most=0)
    resuming.passes(chunk(0, 0), 100)
    again = chunk(1, 0)
    again.words = (WordTime(0, 0, 2, 0, 9),)
    assert resuming.writes(again) is None


def test_the_sentence_that_goes_on_is_given_again_over_a_new_link() -> None:
    resuming = Resuming(most=0)
    resuming.link_up(resumes=True)
    resuming.writes(chunk(0, 0))
    resuming.link_lost()
    resuming.link_up(resumes=True)
    began = resuming.writes(chunk(1))
    assert began is not None and began.number == 0
    resuming.start_over()
    resuming.link_up(resumes=True)
    assert resuming.writes(chunk(0)) is None, "it is read again from the beginning: silence, before any sentence"
