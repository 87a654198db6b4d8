"""The sentences of a text that are spoken, each with its place in the text: the same for a text in pieces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orastream.contract.source_runs import SourceSpan
from services.synth.reading import is_silent
from services.synth.text.sentence_aligner import SentenceAligner
from services.synth.text.sentence_splitter import Sentences
from services.synth.text.skipped_tags import SkippedTags, WrittenPart


class PlacedSentence(NamedTuple):
    """A sentence, and its place in the text in code points; None: it was not found."""

    text: str
    source: SourceSpan | None


class PlacedSentences:
    """The sentences of one text, without what is in skipped tags. Not thread-safe.

    A sentence of tags and comments alone (`<|im_end|>`) is left out, too: what is read out of a sentence is never
    empty, so the names of the tags would be spoken.
    """

    def __init__(self, language: str, skip_tags: Sequence[str] = ()) -> None:
        """`language` as for `sentence_splitter.sentences`, `skip_tags` as from `tag_names.tag_names`."""
        self._skipped = SkippedTags(skip_tags)
        self._found = Sentences(language)
        self._aligner = SentenceAligner()
        self._begins = True  # the next part is the first one after a tag

    def push(self, part: str, text: str) -> list[PlacedSentence]:
        """Add the next part. Returns the sentences that later text cannot change.

        `text` is the whole text as far as it is known: all parts so far, or more.
        """
        return self._read(self._skipped.push(part), text)

    def finish(self, text: str) -> list[PlacedSentence]:
        """End the text. Returns the sentences that are left."""
        return self._read(self._skipped.finish(), text) + self._placed(self._found.finish(), text)

    def _read(self, parts: Iterable[WrittenPart], text: str) -> list[PlacedSentence]:
        found: list[PlacedSentence] = []
        for part in parts:
            if self._begins and part.text:  # without this, a sentence could be found in what is skipped
                self._aligner.goes_on_at(part.first)
                self._begins = False
            found += self._placed(self._found.push(part.text), text)
            if part.ends:
                found += self._placed(self._found.finish(), text)
                self._begins = True
        return found

    def _placed(self, sentences: Iterable[str], text: str) -> list[PlacedSentence]:
        placed = [PlacedSentence(sentence, self._aligner.place(sentence, text)) for sentence in sentences]
        return [sentence for sentence in placed if not is_silent(sentence.text)]
