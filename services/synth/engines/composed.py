"""A text in Unicode normal form C, with the places of its characters in the text that it was made from. Pure."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right


class Composed:
    """A text in NFC. Not thread-safe."""

    def __init__(self, given: str) -> None:
        self.text = unicodedata.normalize("NFC", given)
        """The text in NFC."""
        self._given = given
        self._runs: list[tuple[int, int]] | None = None  # where each run begins, in `text` and in `given`

    def place(self, first: int, end: int) -> tuple[int, int]:
        """Returns the range of the given text from which `text[first:end]` was made. `first` is less than `end`.

        Characters that were composed together have one place.
        """
        if self.text == self._given:
            return first, end
        if self._runs is None:
            self._runs = _runs(self._given)
        begin = self._runs[bisect_right(self._runs, (first, len(self._given))) - 1]
        after = bisect_right(self._runs, (end - 1, len(self._given)))
        return begin[1], self._runs[after][1] if after < len(self._runs) else len(self._given)


def _runs(given: str) -> list[tuple[int, int]]:
    """Returns where each run of characters that NFC can change together begins: in NFC, and in the given text."""
    runs: list[tuple[int, int]] = []
    chars = first = 0
    for at in range(1, len(given) + 1):
        if at == len(given) or not _joins(given[at]):
            runs.append((chars, first))
            chars += len(unicodedata.normalize("NFC", given[first:at]))
            first = at
    return runs


def _joins(char: str) -> bool:
    """Returns whether NFC may compose the character with the one before it: marks, vowels and finals of Hangul."""
    return unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff"
