"""Splits text into sentences for speech: Korean and English, complete or streamed. Pure.

`sentence_boundaries` finds where a sentence may end; this file decides when that is certain. A sentence is returned
when the next one has begun, so that no later text can change it. Complete and streamed texts take the same path:
`sentences` pushes the whole text.

Time is linear in the text, for any text. Each search for certain ends examines the whole buffer. A budget limits the
searches: each pushed character pays for a fixed number of examined ones. Prose never uses up the budget. In a long text
with a mark at every second character some searches are left out, and its sentences come a little later.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.synth.reading import is_silent
from services.synth.text.sentence_boundaries import MAX_CHARS, open_mark, pieces, spoken

__all__ = ["MAX_CHARS", "Sentences", "sentences", "slices", "steps"]

_STEP_CHARS = 16  # characters of a complete text pushed in one step: at most some milliseconds of work
_MAX_EXAMINED = 12  # mean of examined characters for each pushed one; prose needs about 3
_MAX_BUDGET = 100 * MAX_CHARS  # savings for a page that needs more, like lists after a bracket that is never closed
_HELD_CHARS = 2 * MAX_CHARS  # buffer size at which a part is returned, also without a certain end
_MIN_CUT = 60  # a long sentence is cut at a comma only after this: very short parts sound worse than a late pause
_INNER = frozenset(",-/:;@#%&*_")  # punctuation that does not end a sentence
_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
_CLOSING = frozenset("\"'”’」』»)]）")
_TAG_CHARS = 64  # within so many characters, a tag (`<|im_end|>`) does not begin the next sentence
_ENDS_TAG = frozenset(">.!?…。！？")  # "x <y. Then" is not a tag
_HANGUL = re.compile(r"[가-힣]")


def sentences(text: str, language: str) -> list[str]:
    """Returns the sentences of `text`, in order and stripped. Each has a letter or digit and at most MAX_CHARS
    characters; marks at its start may make it longer.

    Joined, they are the whole text except for white space. A text without any letter or digit has no sentence. Only
    MAX_CHARS of a run of marks are kept. `language` is a BCP 47 tag; only its first part matters. A text with Hangul is
    Korean for any tag.
    """
    return [sentence for step in steps(text, language) for sentence in step]


def steps(text: str, language: str) -> Iterator[list[str]]:
    """`sentences` in steps of bounded work. Yields the sentences that each step has found, often none."""
    found = Sentences(language)
    for part in slices(text):
        yield found.push(part)
    yield found.finish()


def slices(text: str) -> Iterator[str]:
    """Yields the text in parts that are short enough to push without blocking the event loop noticeably."""
    for begin in range(0, len(text), _STEP_CHARS):
        yield text[begin : begin + _STEP_CHARS]


class Sentences:
    """The sentences of a streamed text, in pieces of any size: the same sentences for any split.

    `push` returns sentences that are certain, `finish` the rest. It holds less than 4 × MAX_CHARS characters. The time
    of `push` is linear in its text, the time of `finish` is bounded. Not thread-safe. `sentences` says what a sentence
    is.
    """

    def __init__(self, language: str) -> None:
        self._code = language.replace("_", "-").partition("-")[0].lower() or "en"
        self._reset()

    def _reset(self) -> None:
        self._korean = self._code == "ko"
        self._held: list[str] = []
        self._limit = _HELD_CHARS
        self._budget = _MAX_BUDGET  # characters that may still be examined
        self._marks = 0  # characters since the last letter or digit
        self._ended = False  # the buffer has a mark that may end a sentence and was not decided yet
        self._closed = False  # the last such mark closes a quotation: the next word may belong to it
        self._tag = 0  # characters of what may be a tag, so far
        self._in_word = False  # the word after it has begun; some words decide only when they are complete

    def push(self, text: str) -> list[str]:
        """Adds text; returns the sentences that later text cannot change."""
        found: list[str] = []
        for char in text:
            is_spoken = char.isalnum()
            self._marks = 0 if is_spoken else self._marks + 1
            if self._marks > MAX_CHARS:
                continue
            self._held.append(char)
            self._budget = min(self._budget + _MAX_EXAMINED, _MAX_BUDGET)
            if not self._in_tag(char) and self._due(char, is_spoken) and self._budget >= len(self._held):
                self._budget -= len(self._held)
                found += self._complete()
            if len(self._held) >= self._limit:
                found += self._forced()
        return found

    def finish(self) -> list[str]:
        """Ends the text; returns the sentences that are left. The next `push` begins a new text."""
        rest = self._pieces("".join(self._held))
        self._reset()
        return [part for piece in rest for part in _bounded(piece.strip())]

    def _due(self, char: str, is_spoken: bool) -> bool:
        """Whether `char` decides about a mark before it: the next word has begun, or ended."""
        due = False
        if is_spoken:
            if self._ended and self._between_digits(char):
                self._ended = False
            elif self._ended and not self._in_word:
                # The whole word decides if it is Latin (p.m. Then) or follows a quotation ("가자." 하고).
                self._in_word = char.isascii() or self._closed
                due = not self._in_word
        elif self._in_word:
            due, self._in_word = True, False
        if due:
            self._ended = False
        if char in _BREAKS or (char not in _INNER and unicodedata.category(char)[0] == "P"):
            self._ended, self._closed = True, char in _CLOSING
        return due

    def _in_tag(self, char: str) -> bool:
        """Whether `char` is inside what may be a tag, whose letters are not spoken: they begin no sentence."""
        if char == "<":
            self._tag = 1
            return False
        if not self._tag:
            return False
        begins = self._tag > 1 or char in "/|" or (char.isascii() and char.isalpha())
        going = begins and self._tag < _TAG_CHARS and char not in _ENDS_TAG and char not in _BREAKS
        self._tag = self._tag + 1 if going else 0
        return going

    def _between_digits(self, char: str) -> bool:
        before = self._held[-3:-1]
        return len(before) == 2 and before[1] == "." and before[0].isdigit() and char.isdigit()

    def _pieces(self, text: str) -> list[str]:
        self._korean = self._korean or _HANGUL.search(text) is not None
        return pieces(text, "ko" if self._korean else self._code)

    def _complete(self) -> list[str]:
        """Takes out the sentences before the last piece and before a quotation that may still be closed."""
        text = "".join(self._held)
        found, position, certain = [], 0, open_mark(text)
        for piece in self._pieces(text)[:-1]:
            if position + len(piece) > certain:
                break
            position += len(piece)
            found += _bounded(piece.strip())
        if position:
            self._keep(text[position:])
        return found

    def _forced(self) -> list[str]:
        """Takes out sentences, then parts of a sentence, until at most MAX_CHARS and the marks before them are left."""
        text = "".join(self._held)
        found: list[str] = []
        for piece in self._pieces(text)[:-1]:
            if len(text) <= MAX_CHARS:
                break
            found += _bounded(piece.strip())
            text = text[len(piece) :]
        text = text.lstrip()
        while len(text) > MAX_CHARS and (cut := _cut_of(text)) < len(text):
            found.append(text[:cut].strip())
            text = text[cut:].lstrip()
        self._keep(text)
        # With a fixed limit, a text that starts with many marks would be examined at each character.
        self._limit = max(_HELD_CHARS, len(text) + MAX_CHARS)
        return found

    def _keep(self, text: str) -> None:
        self._held = list(text)
        self._limit = _HELD_CHARS


def _bounded(sentence: str) -> list[str]:
    """Returns the sentence in parts of at most MAX_CHARS, cut after a comma, else at white space, else in a word.

    Tags at its start are a part of their own.
    """
    parts: list[str] = []
    while len(sentence) > MAX_CHARS and spoken(sentence[(cut := _cut_of(sentence)) :]):
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*parts, sentence]


def _cut_of(sentence: str) -> int:
    """Returns the end of its first part. The part includes marks at the start and has something to say after them."""
    begin = 0
    while not spoken(sentence[: (end := begin + _cut_in(sentence[begin:]))]) and end < len(sentence):
        begin = end
    return end


def _cut_in(sentence: str) -> int:
    window = sentence[:MAX_CHARS]
    tags = max(window.rfind(">"), window.rfind("]")) + 1
    if tags and is_silent(window[:tags]):  # not inside the last one: the rest of it would be spoken
        return tags
    for pattern in (r"[,;:，、—](?=\s)", r"\s"):
        ends = [m.end() for m in re.finditer(pattern, window) if m.end() >= _MIN_CUT]
        if ends:
            return ends[-1]
    return len(window)
