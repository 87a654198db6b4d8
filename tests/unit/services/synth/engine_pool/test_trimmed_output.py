"""A sentence whose edges are cut: its bytes, what an attempt skips, and its words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engine_pool.asked_sentence import AskedSentence, SentenceOutput
from services.synth.engine_pool.trimmed_output import TrimmedOutput, version_mark
from services.synth.engines.base import SpokenWord

pytestmark = pytest.mark.unit

RATE_HZ = 1_000
TEXT = "one two three"
SOUND = b"\x00\x20"
PCM = bytes(2 * 200) + SOUND * 100 + bytes(2 * 60) + SOUND * 100 + bytes(2 * 300)
"""200 ms of silence, two sounds of 100 ms with a pause of 60 ms between them, and 300 ms of silence."""
TRIMMED = PCM[2 * 150 : -2 * 250]
WORDS = [SpokenWord(0, 3, 190, 300), SpokenWord(4, 7, 360, 460), SpokenWord(8, 13, 460, 700)]
"""The first begins in the silence that is cut partly; the last ends in silence that is cut."""
MOVED = [SpokenWord(0, 3, 40, 150), SpokenWord(4, 7, 210, 310), SpokenWord(8, 13, 310, 360)]


class Host:
    """What the host receives."""

    def __init__(self, **asked: Any) -> None:
        fields = {"id": 1, "sentence": TEXT, "skip_bytes": 0, "keep_skipped": False, "rtf": None}
        self.sentence = AskedSentence({**fields, **asked})
        self.audio = b""
        self.words: list[SpokenWord] = []
        self.early = True
        """Whether each word came with its own audio or before it."""
        self._skipped = self.sentence.asked["skip_bytes"]
        self.output = TrimmedOutput(self.sentence, SentenceOutput(self.sentence, RATE_HZ, self._take), RATE_HZ, 50)

    def _take(self, sentence: AskedSentence, pcm: bytes) -> bool:
        words = sentence.take_words().get("words", [])
        samples = (self._skipped + len(self.audio)) // 2
        self.early = self.early and all(word.end_sample > samples for word in words if not self._skipped)
        self.words += words
        self.audio += pcm
        return True

    def speak(self, sizes: list[int], words: list[SpokenWord]) -> None:
        """The engine gives PCM in pieces, each word as late as it may."""
        left, at = list(words), 0
        for size in [*sizes, len(PCM) // 2]:
            piece = PCM[at : at + 2 * size]
            while left and left[0].end_sample <= (at + len(piece)) // 2:
                self.output.word(left.pop(0))
            self.output.give(piece)
            at += len(piece)
        self.output.finish()
        self.words += self.sentence.take_words().get("words", [])


@given(st.lists(st.integers(0, 200), max_size=12))
def test_edges_are_cut_and_words_move(sizes: list[int]) -> None:
    host = Host()
    host.speak(sizes, WORDS)
    assert host.audio == TRIMMED and host.output.total == len(TRIMMED)
    assert host.words == MOVED and host.early


@given(st.lists(st.integers(0, 200), max_size=12), st.integers(0, len(TRIMMED) // 2 + 5), st.booleans())
def test_an_attempt_continues_at_the_exact_sample(sizes: list[int], skip: int, keep: bool) -> None:
    host = Host(skip_bytes=2 * skip, keep_skipped=keep)
    host.speak(sizes, WORDS)
    assert host.audio == (TRIMMED if keep else TRIMMED[2 * skip :]) and host.output.total == len(TRIMMED)
    assert host.words == MOVED, "words of skipped audio come, too"


def test_words_that_come_at_the_begin_wait_for_their_audio() -> None:
    host = Host()
    for word in WORDS:
        host.output.word(word)
    host.output.give(PCM[: 2 * 250])
    assert host.words == [] and len(host.audio) == 2 * 100
    host.output.give(PCM[2 * 250 : 2 * 460])
    assert host.words == MOVED[:2]
    host.output.give(PCM[2 * 460 :])
    assert host.words == MOVED[:2], "the end of the last word is not known yet"
    host.output.finish()
    assert host.words == MOVED and host.audio == TRIMMED


def test_a_word_in_silence_that_is_cut_is_left_out_and_a_late_one_too() -> None:
    host = Host()
    host.output.word(SpokenWord(0, 3, 10, 140))
    host.output.give(PCM[: 2 * 400])
    host.output.word(SpokenWord(4, 7, 300, 400))
    host.output.word(SpokenWord(8, 13, 600, 760))
    host.output.give(PCM[2 * 400 :])
    host.output.finish()
    assert host.words == [] and host.sentence.take_words() == {}


def test_a_word_beyond_the_audio_is_sent_as_without_the_cut() -> None:
    host = Host()
    host.output.word(SpokenWord(0, 3, 300, 900))
    host.output.give(PCM)
    host.output.finish()
    assert [*host.words, *host.sentence.take_words().get("words", [])] == [SpokenWord(0, 3, 150, 750)]


def test_a_stopped_sentence_gives_nothing_more() -> None:
    host = Host()
    assert host.output.give(PCM[: 2 * 250])
    host.sentence.stop()
    assert not host.output.give(PCM[2 * 250 :])


def test_another_bound_is_another_version() -> None:
    assert {version_mark(None), version_mark(20), version_mark(200)} == {"", "+edge20", "+edge200"}
