"""Text into sentences, for speech: Korean and English, as a whole or while it still comes. Pure.

`sentence_boundaries` says where a sentence may end; this file says when that is certain. A sentence is given out once
the next one has begun, so that nothing which follows can change it; what has been given out never comes back. Both
ways share one path: `sentences` pushes the whole text.

Time is linear in the text, whatever it is. To find what is certain, all that is held is examined. A budget limits how
often: each character pushed pays for a fixed number of characters examined. Prose never uses it up. In a long text with
a mark at every second character some marks are passed over, and its sentences come a little later.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.synth.text.sentence_boundaries import MAX_CHARS, open_mark, pieces, spoken

__all__ = ["MAX_CHARS", "Sentences", "sentences", "slices", "steps"]

_STEP_CHARS = 16  # of a whole text, pushed at a time: at most some milliseconds of work
_MAX_EXAMINED = 12  # characters examined for each one pushed, in the long run; prose needs about 3
_MAX_BUDGET = 100 * MAX_CHARS  # for a page that needs more, like one of lists behind a bracket that is never closed
_HELD_CHARS = 2 * MAX_CHARS  # from here on a part is given out, ready or not
_MIN_CUT = 60  # no earlier than this does a long sentence end at a comma: crumbs sound worse than a late pause
_INNER = frozenset(",-/:;@#%&*_")  # punctuation that ends no sentence
_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
_CLOSING = frozenset("\"'”’」』»)]）")
_HANGUL = re.compile(r"[가-힣]")


def sentences(text: str, language: str) -> list[str]:
    """The sentences of `text`, in order, stripped, each with at least one letter or digit and at most MAX_CHARS long
    (a run of marks rides along).

    Joined, they are the whole text but for white space; a text without any letter or digit gives no sentence, and of a
    run of marks only MAX_CHARS are kept. `language` is a BCP 47 tag; only its first part counts. A text in Hangul is
    Korean whatever the tag says.
    """
    return [sentence for step in steps(text, language) for sentence in step]


def steps(text: str, language: str) -> Iterator[list[str]]:
    """`sentences`, in steps of bounded work. Gives what each step has found, often nothing."""
    found = Sentences(language)
    for part in slices(text):
        yield found.push(part)
    yield found.finish()


def slices(text: str) -> Iterator[str]:
    """The text in parts that are short enough to be pushed between two turns of an event loop."""
    for begin in range(0, len(text), _STEP_CHARS):
        yield text[begin : begin + _STEP_CHARS]


class Sentences:
    """The sentences of a text that still comes, in pieces of any size: the same ones however it is cut.

    `push` gives what has become certain, `finish` the rest. Holds less than 4 × MAX_CHARS characters. `push` takes time
    in proportion to its text, `finish` a bounded time. Not for several threads. See `sentences` for what a sentence is.
    """

    def __init__(self, language: str) -> None:
        self._tag = language.replace("_", "-").partition("-")[0].lower() or "en"
        self._reset()

    def _reset(self) -> None:
        self._korean = self._tag == "ko"
        self._held: list[str] = []
        self._limit = _HELD_CHARS
        self._budget = _MAX_BUDGET  # characters that may be examined
        self._marks = 0  # characters since the last letter or digit
        self._ended = False  # a mark that may end a sentence is held, and has not been judged
        self._closed = False  # the last such mark closes a quotation: a word may hang on it
        self._in_word = False  # the word behind it has begun: some are judged only as a whole

    def push(self, text: str) -> list[str]:
        """More of the text; gives the sentences that nothing can change any more."""
        found: list[str] = []
        for char in text:
            is_spoken = char.isalnum()
            self._marks = 0 if is_spoken else self._marks + 1
            if self._marks > MAX_CHARS:
                continue
            self._held.append(char)
            self._budget = min(self._budget + _MAX_EXAMINED, _MAX_BUDGET)
            if self._due(char, is_spoken) and self._budget >= len(self._held):
                self._budget -= len(self._held)
                found += self._settled()
            if len(self._held) >= self._limit:
                found += self._forced()
        return found

    def finish(self) -> list[str]:
        """The text is complete: gives the sentences that are left. The next `push` begins a new text."""
        rest = self._pieces("".join(self._held))
        self._reset()
        return [part for piece in rest for part in _bounded(piece.strip())]

    def _due(self, char: str, is_spoken: bool) -> bool:
        """Whether `char` shows how a mark before it is to be taken: the next word has begun, or ended."""
        due = False
        if is_spoken:
            if self._ended and self._between_digits(char):
                self._ended = False
            elif self._ended and not self._in_word:
                # Latin words are looked up (p.m. Then), and so is what follows a quotation ("가자." 하고).
                self._in_word = char.isascii() or self._closed
                due = not self._in_word
        elif self._in_word:
            due, self._in_word = True, False
        if due:
            self._ended = False
        if char in _BREAKS or (char not in _INNER and unicodedata.category(char)[0] == "P"):
            self._ended, self._closed = True, char in _CLOSING
        return due

    def _between_digits(self, char: str) -> bool:
        before = self._held[-3:-1]
        return len(before) == 2 and before[1] == "." and before[0].isdigit() and char.isdigit()

    def _pieces(self, text: str) -> list[str]:
        self._korean = self._korean or _HANGUL.search(text) is not None
        return pieces(text, "ko" if self._korean else self._tag)

    def _settled(self) -> list[str]:
        """Takes out what ends before the last piece, and before a quotation that may still be closed."""
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
        """Takes out sentences, then parts of one, until MAX_CHARS are left, and the marks before them."""
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
        self._limit = max(_HELD_CHARS, len(text) + MAX_CHARS)  # else a text led by many marks is examined at each one
        return found

    def _keep(self, text: str) -> None:
        self._held = list(text)
        self._limit = _HELD_CHARS


def _bounded(sentence: str) -> list[str]:
    """The sentence in parts of at most MAX_CHARS, cut after a comma, else at white space, else in mid-word."""
    parts: list[str] = []
    while len(sentence) > MAX_CHARS and spoken(sentence[(cut := _cut_of(sentence)) :]):
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*parts, sentence]


def _cut_of(sentence: str) -> int:
    """Where its first part ends. The marks that it begins with ride along, so that there is something to say."""
    begin = 0
    while not spoken(sentence[: (end := begin + _cut_in(sentence[begin:]))]) and end < len(sentence):
        begin = end
    return end


def _cut_in(sentence: str) -> int:
    window = sentence[:MAX_CHARS]
    for pattern in (r"[,;:，、—](?=\s)", r"\s"):
        ends = [m.end() for m in re.finditer(pattern, window) if m.end() >= _MIN_CUT]
        if ends:
            return ends[-1]
    return len(window)
