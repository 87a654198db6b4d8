"""Where a word of the lexicon stands alone in a text, and not inside another word, number or address. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

from services.synth.reading.korean import attached

_HANGUL_RUN = re.compile(r"[가-힣]+")
_ADDRESS_PART = re.compile(r"[!-~]+")
# Scripts without spaces between words: a word of them may begin and end anywhere.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_INSIDE_NUMBERS = frozenset(".,:-/")
_INSIDE_NAMES = frozenset(".@_")
_CONTRACTED = re.compile(r"(?:s|t|d|m|ll|re|ve)(?![^\W_])", re.IGNORECASE)  # after an apostrophe: it's, don't, we'll
_JOINING = frozenset("._@-'’/&+#")


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣"


def _joins(char: str) -> bool:
    """Whether the character belongs to the same word as one of its kind beside it: Latin letters, digits, accents."""
    if _is_hangul(char) or _WITHOUT_SPACES.match(char):
        return False
    return char.isalnum() or unicodedata.combining(char) > 0


def _is_mark(char: str) -> bool:
    return not char.isalnum() and not char.isspace()


class WordPlaces:
    """The places of one text at which words stand alone. Not thread-safe."""

    def __init__(self, text: str) -> None:
        self._text = text
        runs = [run.span() for run in _ADDRESS_PART.finditer(text) if "://" in run[0] or "@" in run[0]]
        self._addresses = [first for first, _ in runs], [end for _, end in runs]

    def begins(self, first: int) -> bool:
        """Whether a word may begin at that place: not inside another word or number."""
        return first == 0 or self._parted_before(first)

    def is_whole(self, first: int, end: int) -> bool:
        """Whether `text[first:end]`, which `begins`, is a whole word, perhaps with Korean particles after it.

        A part of a web or mail address is not one.
        """
        return self._ends(end) and not self._inside_address(first, end)

    def particle(self, end: int) -> str:
        """Returns the particles right after the word that ends there; empty: none, or Hangul that is something else."""
        if both := attached.either_form(self._text, end):
            return both
        run = _HANGUL_RUN.match(self._text, end, end + attached.MAX_CHARS + 1)
        return run[0] if run and attached.is_particle(run[0]) else ""

    def _parted_before(self, first: int) -> bool:
        text, begin = self._text, self._text[first]
        before = text[first - 1]
        further = text[first - 2] if first > 1 else " "
        if _is_hangul(begin):
            return not _is_hangul(before)
        if _is_mark(begin):
            return before != begin and not (begin in _JOINING and _joins(before))
        if not _joins(begin):
            return True
        if _joins(before):
            return False
        if before in "'’" and _joins(further) and _CONTRACTED.match(text, first):
            return False
        if begin.isdigit() and before in _INSIDE_NUMBERS and further.isdigit():
            return False
        return not (before in _INSIDE_NAMES and _joins(further))

    def _ends(self, end: int) -> bool:
        text, last = self._text, self._text[end - 1]
        if end == len(text):
            return True
        after = text[end]
        further = text[end + 1] if end + 1 < len(text) else " "
        if _is_hangul(last):
            return not _is_hangul(after) or bool(self.particle(end))
        if _is_mark(last):
            return after != last
        if not _joins(last):
            return True
        if _joins(after):
            return False
        if last.isdigit() and after in _INSIDE_NUMBERS and further.isdigit():
            return False
        return not (after in _INSIDE_NAMES and _joins(further))

    def _inside_address(self, first: int, end: int) -> bool:
        """Whether the range is a part of a web or mail address, but not the whole beginning of one."""
        firsts, ends = self._addresses
        number = bisect_right(firsts, first) - 1
        if number < 0 or ends[number] <= first:
            return False
        part = self._text[first:end]
        return not (firsts[number] == first and ("@" in part or "://" in part))
