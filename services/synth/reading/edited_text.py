"""A text that was made from another one by edits, and where each of its parts comes from. Pure.

The rules of reading change a sentence in several passes. Each pass is a list of edits, so the origin of a word is known
exactly and is not searched afterwards.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence

Edit = tuple[int, int, str]
"""Replaces the characters from the first number to before the second one, at least one, by the text; empty: deletes."""


class EditedText:
    """The text after all passes so far. Immutable: each pass returns a new one, or the same one if it changes nothing.

    A replaced piece is one unit: every character of the new text comes from all characters of the old piece. All other
    characters come from themselves. Places are code points.
    """

    __slots__ = ("_before", "_begins", "_spans", "text")

    def __init__(self, text: str, before: EditedText | None = None, spans: Sequence[int] = ()) -> None:
        """Begin with a text. The other arguments are for passes only.

        `spans` has three numbers for each edit of `before`: its first place, its end, and the length of its new text.
        They are in one list, because a long text has many edits, and the garbage collector examines each tuple.
        """
        self.text = text
        self._before = before
        self._spans = spans
        self._begins: list[int] | None = None  # of the new text of each edit; made when it is asked for

    @property
    def original(self) -> str:
        """The first text, before all passes."""
        version = self
        while version._before is not None:
            version = version._before
        return version.text

    def edited(self, edits: Sequence[Edit]) -> EditedText:
        """Returns the text after one pass of edits, which are in ascending order and do not overlap."""
        if not edits:
            return self
        old, parts, spans, position = self.text, list[str](), list[int](), 0
        for first, end, new in edits:
            assert position <= first < end, "edits are in order, and each replaces something"
            parts += (old[position:first], new)
            spans += (first, end, len(new))
            position = end
        parts.append(old[position:])
        return EditedText("".join(parts), self, spans)

    def sub(self, pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str]) -> EditedText:
        """Like `pattern.sub`: replaces each match by `new`, which has no escapes, or by its result.

        A match that is replaced by itself is unchanged. The pattern must not match an empty text.
        """
        if pattern.search(self.text) is None:  # the usual case, which takes less time without the list below
            return self
        matches = pattern.finditer(self.text)
        if isinstance(new, str):
            return self.edited([(*match.span(), new) for match in matches])
        return self.edited([(*match.span(), said) for match in matches if (said := new(match)) != match[0]])

    def respelled(self, text: str) -> EditedText:
        """Returns another text of the same length, each character of which comes from the one in its place."""
        assert len(text) == len(self.text), "one character for each one"
        return self if text == self.text else EditedText(text, self, ())

    def stripped(self) -> EditedText:
        """Returns the text without white space at its ends."""
        text = self.text
        kept = text.strip()
        if len(kept) == len(text):
            return self
        first = len(text) - len(text.lstrip())
        outside = ((0, first, ""), (first + len(kept), len(text), ""))
        return self.edited([edit for edit in outside if edit[0] < edit[1]])

    def composed(self) -> EditedText:
        """Returns the text in NFC. The characters of which one is composed are replaced together."""
        edits, first = list[Edit](), 0
        for end in _ends_of_composed(self.text):
            old = self.text[first:end]
            if (new := unicodedata.normalize("NFC", old)) != old:
                edits.append((first, end, new))
            first = end
        return self.edited(edits)

    def back(self, first: int, end: int) -> tuple[int, int]:
        """Returns the smallest range of the first text, before all passes, that `text[first:end]` comes from.

        The range must have at least one character. Of deleted text, only what stands inside the result belongs to it.
        """
        assert 0 <= first < end <= len(self.text), "a range has a character"
        version = self
        while version._before is not None:
            first, end = version._source(first)[0], version._source(end - 1)[1]
            version = version._before
        return first, end

    def _source(self, at: int) -> tuple[int, int]:
        """Returns the range of the text before this pass that the character comes from."""
        if self._begins is None:
            self._begins, longer = [], 0
            for number in range(0, len(self._spans), 3):
                first, end, chars = self._spans[number : number + 3]
                self._begins.append(first + longer)
                longer += chars - (end - first)
        # Of edits with the same begin, only the last one may have a new text.
        number = bisect_right(self._begins, at) - 1
        if number < 0:
            return at, at + 1
        first, end, chars = self._spans[3 * number : 3 * number + 3]
        behind = at - self._begins[number] - chars
        return (first, end) if behind < 0 else (end + behind, end + behind + 1)


def _ends_of_composed(text: str) -> list[int]:
    """Returns where each sequence of characters ends that NFC changes independently of those around it."""
    ends, first = list[int](), 0
    for at in range(1, len(text)):
        if unicodedata.combining(unicodedata.normalize("NFD", text[at])[0]):  # U+0F81 itself is not combining
            continue
        before = unicodedata.normalize("NFC", text[first:at])
        if unicodedata.normalize("NFC", text[first : at + 1]) == before + unicodedata.normalize("NFC", text[at]):
            ends.append(at)
            first = at
    return [*ends, len(text)]
