"""A rule of reading, and how a list of rules is applied to a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.synth.reading.edited_text import Edit, EditedText

_LATIN = re.compile(r"[A-Za-z0-9]")
_NUMBER_BEHIND_HANGUL = re.compile(r"[가-힣][0-9]")
_SPACES = re.compile(r"[^\S\n]{2,}")
# A dot that begins a word is no mark of a sentence: .NET, ./build.sh, ../src
_SPACE_AT_MARK = re.compile(r"[^\S\n]+(?=[,!?…)]|\.(?!\.?/?[A-Za-z0-9]))|(?<=\()[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """How to say the text that `pattern` matches."""

    pattern: re.Pattern[str]
    """Matched at a position where a rule may begin; it may look behind. It must not backtrack over long runs."""
    say: Callable[[re.Match[str]], str | None]
    """Returns the words; None: the rule does not apply here; the matched text itself: it is unchanged."""
    glued: bool = False
    """No space between the words and the text before them, as for a particle."""
    first: str = "a0."
    """Kinds of the characters with which a match may begin: an ASCII letter (a), a digit (0), anything else (.)."""


class RuleIndex:
    """A list of rules that is divided by the first character, so that each place of a text tries few of them."""

    __slots__ = ("_by_kind",)

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._by_kind = {kind: tuple(rule for rule in rules if kind in rule.first) for kind in "a0."}

    def at(self, char: str) -> Sequence[Rule]:
        """Returns the rules that may match a text that begins with the character, in their order."""
        kind = "." if not char.isascii() else "a" if char.isalpha() else "0" if char.isdecimal() else "."
        return self._by_kind[kind]


def before(match: re.Match[str], chars: int) -> str:
    """Returns at most `chars` characters of the text before the match, so that a rule takes bounded time."""
    return match.string[max(0, match.start() - chars) : match.start()]


def after(match: re.Match[str], chars: int) -> str:
    """Returns at most `chars` characters of the text after the match."""
    return match.string[match.end() : match.end() + chars]


def always(words: str) -> Callable[[re.Match[str]], str]:
    """Returns a `say` with the same words for every match."""
    return lambda match: words


def apply(rules: Sequence[Rule] | RuleIndex, begins: re.Pattern[str], sentence: EditedText) -> EditedText:
    """Returns the text after one pass from left to right, in which the first matching rule replaces the text.

    `begins` matches a single character at which rules are tried. The words of a rule are not read again. Spaces
    separate the words of two rules, words from Latin letters, and the words of a number from Hangul before it. Double
    spaces where signs were removed become one. Such a space comes from what the words next to it come from.
    """
    text, edits = sentence.text, list[Edit]()
    position, apart = 0, False  # apart: the last piece is a rule's words
    before = ""  # the last character of the last piece
    while (begin := begins.search(text, position)) is not None:
        if begin.start() > position:
            position, apart = begin.start(), False
            before = text[position - 1]
        here = rules.at(text[position]) if isinstance(rules, RuleIndex) else rules
        written, words, glued = _said(here, text, position)
        end, reads = position + len(written), words != written
        if reads:
            parted = words and not glued
            if parted and (apart or _LATIN.match(before) or _NUMBER_BEHIND_HANGUL.match(before + written)):
                edits.append((position, end, f" {words}"))
            else:
                edits.append((position, end, words))
        elif apart and not glued and _LATIN.match(words):
            first, last, said = edits[-1]
            edits[-1] = (first, last, f"{said} ")
        apart = reads and words[-1:].isalnum()
        before = words[-1:]
        position = end
    return tidied(sentence.edited(edits))


def _said(rules: Sequence[Rule], text: str, position: int) -> tuple[str, str, bool]:
    """Returns the text at `position`, its words (the same text if no rule matches), and whether they are glued."""
    for rule in rules:
        match = rule.pattern.match(text, position)
        if match is not None and match.end() > position and (words := rule.say(match)) is not None:
            return match[0], words, rule.glued
    return text[position], text[position], False


def tidied(text: EditedText) -> EditedText:
    """Returns the text without double spaces and without spaces before a mark or inside a bracket."""
    return text.sub(_SPACES, " ").sub(_SPACE_AT_MARK, "").stripped()
