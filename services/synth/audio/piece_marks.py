"""The sentences and words that a chunker's pieces report. Pure."""

from __future__ import annotations

from orastream.contract.sentence_start import FIELDS_BYTES, MAX_STARTS_BYTES, SentenceStart
from orastream.contract.word_time import MAX_WORDS, WordTime
from services.synth.audio.marks import Marks


class PieceMarks:
    """Sentence starts and word times by their place in the file, in any unit of the chunker's. Not thread-safe.

    A sentence is at its first sample, a word at its last one. A piece has those whose place is in it.
    """

    def __init__(self) -> None:
        self._sentences: Marks[SentenceStart] = Marks(MAX_STARTS_BYTES)
        self._words: Marks[WordTime] = Marks(MAX_WORDS)

    def sentence(self, place: float, start: SentenceStart) -> None:
        """Add a sentence that begins at `place`, which is not before the last one's."""
        self._sentences.add(place, start, len(start.text.encode()) + FIELDS_BYTES)

    def word(self, place: float, word: WordTime) -> None:
        """Add a word whose last sample is at `place`, which is not before the last word's."""
        self._words.add(place, word)

    def take(self, before: float) -> tuple[tuple[SentenceStart, ...], tuple[WordTime, ...]]:
        """Remove and return the sentences and the words before that place, as many as one piece may have."""
        return self._sentences.take(before), self._words.take(before)

    @property
    def too_many_at(self) -> float:
        """The place of the first one that the next piece cannot have, NOWHERE if there is none."""
        return min(self._sentences.too_many_at, self._words.too_many_at)
