"""What a rule of reading is, and how a list of them is applied to a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LATIN = re.compile(r"[A-Za-z0-9]")
_NUMBER_BEHIND_HANGUL = re.compile(r"[가-힣][0-9]")
_SPACES = re.compile(r"[^\S\n]{2,}")
_SPACE_AT_MARK = re.compile(r"[^\S\n]+(?=[.,!?…)])|(?<=\()[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is written like `pattern`, and how it is said."""

    pattern: re.Pattern[str]
    """Matched where a rule may begin; it sees what is before. It must not be able to backtrack over long runs."""
    say: Callable[[re.Match[str]], str | None]
    """The words; None: this rule does not apply here after all. What is matched itself: it stays as it is."""
    glued: bool = False
    """The words belong to what is before, like a particle: no space comes between."""


def always(words: str) -> Callable[[re.Match[str]], str]:
    """The same words for whatever is matched."""
    return lambda match: words


def apply(rules: Sequence[Rule], begins: re.Pattern[str], text: str) -> str:
    """The text with each place that a rule takes said by the first rule that does, in one pass from left to right.

    `begins` matches the one character at which rules are tried. What a rule has said is not read again. Words of a rule
    stand apart from those of the next one and from Latin letters, those of a number from Hangul before it; where signs
    were left out, no double space stays.
    """
    said: list[str] = []
    position, apart = 0, False  # apart: the last piece is a rule's words
    while (begin := begins.search(text, position)) is not None:
        if begin.start() > position:
            said.append(text[position : begin.start()])
            position, apart = begin.start(), False
        written, words, glued = _said(rules, text, position)
        reads = words != written
        if words and not glued:
            before = said[-1][-1:] if said else ""
            parted = _LATIN.match(before) or _NUMBER_BEHIND_HANGUL.match(before + written)
            if (apart and (reads or _LATIN.match(words))) or (reads and parted):
                said.append(" ")
        said.append(words)
        apart = words[-1:].isalnum() if reads else False
        position += len(written)
    return tidied("".join([*said, text[position:]]))


def _said(rules: Sequence[Rule], text: str, position: int) -> tuple[str, str, bool]:
    """What is written at `position`, how it is said (the same when no rule takes it), and whether glued."""
    for rule in rules:
        match = rule.pattern.match(text, position)
        if match is not None and match.end() > position and (words := rule.say(match)) is not None:
            return match[0], words, rule.glued
    return text[position], text[position], False


def tidied(text: str) -> str:
    """Without the double spaces, and those before a mark or inside a bracket, that left-out signs leave."""
    return _SPACE_AT_MARK.sub("", _SPACES.sub(" ", text)).strip()
