"""Finds the sentences of a text in it, so that a reader can show which part is spoken. Pure.

`sentence_splitter` returns the characters of a text in order. It leaves out only white space, and marks of a run of
more than MAX_CHARS. So each sentence is found from where the last one ended, and the text is read once.
"""

from __future__ import annotations

from orastream.contract.source_runs import SourceSpan


class SentenceAligner:
    """The places of the sentences of one text, which may come in pieces. Not thread-safe."""

    def __init__(self) -> None:
        self._end = 0  # of the last sentence

    def goes_on_at(self, first: int) -> None:
        """The next sentence stands at this place of the text, or after it."""
        self._end = first

    def place(self, sentence: str, text: str) -> SourceSpan | None:
        """Returns where the next sentence stands in the text; None if it is not there.

        `text[first:end]` is the sentence, with the marks and white space that were left out of it. `text` is the same
        text at each call, or more of it. The white space in a sentence may differ from that in the text.
        """
        first = text.find(sentence[0], self._end)
        if text.startswith(sentence, first) and first >= 0:
            self._end = first + len(sentence)
            return first, self._end
        if not (places := aligned(sentence, text, self._end)):
            return None
        self._end = places[-1] + 1
        return first, self._end


def aligned(sentence: str, text: str, first: int = 0) -> list[int]:
    """Returns where each character of the sentence stands in the text, from `first` on; empty if it is not there.

    White space may differ, and marks may be left out. The place of white space is that of the character before it.
    """
    places, at = list[int](), first
    for char in sentence:
        if not char.isspace():
            if (found := text.find(char, at)) < 0:
                return []
            at = found + 1
        places.append(at - 1)
    return places
