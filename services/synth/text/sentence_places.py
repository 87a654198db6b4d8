"""From where in the request's text the words of a spoken sentence come, so that a reader can show each word. Pure.

Three steps lead back: from the words to the sentence (`EditedText`), from the sentence to the text that it was cut from
(`aligned`), and in SSML from that text to the document (`SourceRuns`).
"""

from __future__ import annotations

from orastream.contract.source_runs import SourceRuns, SourceSpan
from services.synth.reading import EditedText
from services.synth.text.sentence_aligner import aligned


class SentencePlaces:
    """The places of one spoken sentence. Computed when they are asked for. Not thread-safe."""

    def __init__(self, spoken: EditedText, part: str, begin: int, runs: SourceRuns | None = None) -> None:
        """`spoken` was made from the sentence, and `part` is the sentence as it stands in the text from `begin` on.

        `runs` are the places of that text in the document; without them the text is the request's text itself.
        """
        self._spoken = spoken
        self._part = part
        self._begin = begin
        self._runs = runs
        self._aligned: list[int] | None = None  # only if the sentence differs from `part`

    def span(self, first: int, end: int) -> SourceSpan | None:
        """Returns where `spoken[first:end]` comes from, without white space at the ends; None if it is only that."""
        words = _without_space(self._spoken.text, first, end)
        found = words and _without_space(self._spoken.original, *self._spoken.back(*words))
        if not found:
            return None
        begin, last = self._begin + self._at(found[0]), self._begin + self._at(found[1] - 1)
        return self._runs.span(begin, last + 1) if self._runs is not None else (begin, last + 1)

    def _at(self, place: int) -> int:
        """Returns where a character of the sentence stands in `part`."""
        if self._aligned is None:
            sentence = self._spoken.original
            same = sentence == self._part
            self._aligned = [] if same else aligned(sentence, self._part)
            assert same or self._aligned, "the aligner has found the sentence in this part"
        return self._aligned[place] if self._aligned else place


def _without_space(text: str, first: int, end: int) -> SourceSpan | None:
    """Returns the range without white space at its ends; None if nothing is left, or it is not in the text."""
    part = text[first:end] if 0 <= first < end <= len(text) else ""
    if not (kept := part.strip()):
        return None
    first += len(part) - len(part.lstrip())
    return first, first + len(kept)
