"""The audio of one sentence on its way to the host, with the silence at its edges cut (TTS_EDGE_SILENCE_MS).

It stands before `SentenceOutput`, which counts `skip_bytes`: so the host sees a sentence that is that short, and an
attempt that continues it finds the same samples.
"""

from __future__ import annotations

from collections import deque

from services.synth.audio.edge_silence import EdgeTrim
from services.synth.engine_pool.asked_sentence import AskedSentence, SentenceOutput
from services.synth.engines.base import SpokenWord

EVEN_LATE = 0
"""For `AskedSentence.add_word`: the word is sent, however much audio was given."""


def version_mark(edge_silence_ms: int | None) -> str:
    """Returns what the version of an engine needs so that audio with other edges is never mixed with it."""
    return "" if edge_silence_ms is None else f"+edge{edge_silence_ms}"


class TrimmedOutput:
    """As `SentenceOutput`. Words move by what is cut at the begin. For the thread that speaks the sentence."""

    def __init__(self, sentence: AskedSentence, output: SentenceOutput, rate_hz: int, edge_silence_ms: int) -> None:
        self._sentence = sentence
        self._output = output
        self._trim = EdgeTrim(rate_hz, edge_silence_ms)
        self._words: deque[SpokenWord] = deque()  # reported by the engine, and not passed on yet

    @property
    def total(self) -> int:
        """Bytes of the sentence so far, without what was cut."""
        return self._output.total

    def give(self, pcm: bytes) -> bool:
        """See SentenceOutput."""
        out = self._trim.push(pcm)
        while self._words and self._trim.begun and self._words[0].end_sample - self._trim.cut <= self._trim.passed:
            self._pass_on(self._words.popleft(), self._output.total)
        return self._output.give(out)

    def word(self, found: SpokenWord) -> None:
        """See SentenceOutput. It waits until the audio in which it ends is passed on."""
        if found.end_sample > self._trim.given:
            self._words.append(found)

    def finish(self) -> None:
        """See SentenceOutput. Words that end in silence that is cut end with the sentence."""
        rest = self._trim.finish()
        while self._words:
            found = self._words.popleft()
            if found.end_sample <= self._trim.given:
                found = found._replace(end_sample=min(found.end_sample, self._trim.cut + self._trim.passed))
            self._pass_on(found, EVEN_LATE)
        if rest:
            self._output.give(rest)

    def _pass_on(self, found: SpokenWord, given_bytes: int) -> None:
        cut = self._trim.cut
        moved = found._replace(begin_sample=max(found.begin_sample - cut, 0), end_sample=found.end_sample - cut)
        self._sentence.add_word(moved, given_bytes)  # which leaves out a word without samples
