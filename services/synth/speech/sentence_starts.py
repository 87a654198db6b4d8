"""Where the sentences of one attempt begin in the file, and when their words are spoken. Pure.

A sentence begins with the first sample of its own speech, after the silence before it. The place is counted in samples
that the engine has made, as if it had made the file from where this attempt began it, also those that it need not send.
So an attempt that continues exactly finds the same places as the attempt before it. The times of words are counted at
the engine's rate, so that they are the same in a file of another rate.
"""

from __future__ import annotations

from collections.abc import Sequence

from orastream.contract.audio import BYTES_PER_SAMPLE
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from services.synth.engines.base import SpokenWord
from services.synth.text.script_line import ScriptLine


class SentenceStarts:
    """Counts the engine's audio and says where each sentence begins and each word ends, once. Not thread-safe."""

    def __init__(
        self,
        engine_hz: int,
        file_hz: int,
        *,
        first_sample: int,
        begun: int,
        last_word: WordTime | None = None,
        last_pts_ms: int = 0,
    ) -> None:
        """`first_sample` is the sample of the file with which this attempt began.

        Sentences up to number `begun` begin in stored chunks, which report them already: -1 if none does. They report
        the words up to `last_word`. If they report none, they are of a synth or an engine without words, or no word has
        ended: then words that end before `last_pts_ms`, the begin of the last stored chunk, are left out.
        """
        self._engine_hz = engine_hz
        self._file_hz = file_hz
        self._first_sample = first_sample
        self._begun = begun
        self._made = 0  # samples of the engine before the current sentence, with its pauses so far
        self._next: tuple[int, ScriptLine] | None = None
        self._current: tuple[int, ScriptLine] | None = None
        self._words = 0  # of the current sentence, reported or left out
        self._last_word = last_word
        self._last_pts_ms = last_pts_ms

    def made(self, pcm_bytes: int) -> None:
        """The engine's audio has so many bytes more: a pause, or a whole sentence at its end."""
        self._made += pcm_bytes // BYTES_PER_SAMPLE

    def expect(self, number: int, line: ScriptLine) -> None:
        """The next speech is of this sentence."""
        self._next = self._current = (number, line)
        self._words = 0

    def spoken(self) -> tuple[int, SentenceStart] | None:
        """There is speech of the current sentence. Returns the sample of the file at which it begins, and its start.

        None if it has been returned, or if stored chunks report it.
        """
        if self._next is None:
            return None
        (number, line), self._next = self._next, None
        if number <= self._begun:
            return None
        sample = self._first_sample - (-self._made * self._file_hz // self._engine_hz)
        first, end = line.source or (None, None)
        return sample, SentenceStart(number, sample * 1000 // self._file_hz, line.text, first, end)

    def words(self, words: Sequence[SpokenWord]) -> list[tuple[int, WordTime]]:
        """Returns those of the current sentence's words that are new, with the sample of the file that is their last.

        `words` are all its words so far. Words that stored chunks report are left out, and words whose place in the
        request's text is not known.
        """
        assert self._current is not None, "a sentence is expected before its words"
        number, line = self._current
        found: list[tuple[int, WordTime]] = []
        for word in words[self._words :]:
            place = line.place(word.first, word.end)
            if place is None:
                continue
            time = WordTime(number, *place, self._ms(word.begin_sample), self._ms(word.end_sample))
            if not self._reported(time):
                last = self._first_sample - (-(self._made + word.end_sample) * self._file_hz // self._engine_hz) - 1
                found.append((last, time))
        self._words = len(words)
        return found

    def _ms(self, sample: int) -> int:
        """Returns the time in the utterance of that sample of the current sentence."""
        before = self._first_sample * self._engine_hz
        return (before + (self._made + sample) * self._file_hz) * 1000 // (self._file_hz * self._engine_hz)

    def _reported(self, word: WordTime) -> bool:
        if self._last_word is None:
            return word.end_ms < self._last_pts_ms
        return _order(word) <= _order(self._last_word)


def _order(word: WordTime) -> tuple[int, ...]:
    return word.sentence, word.begin_ms, word.end_ms, word.first, word.end
