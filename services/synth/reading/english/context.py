"""What stands before and after a match: a rule reads only so much of the text, so that its time is bounded."""

from __future__ import annotations

import re

from services.synth.reading import rule

_FORMULA = re.compile(
    r"[=≠≤≥^√×÷]|(?<![A-Za-z])[a-z]\s?[<>]|\b(?:what(?:'s|’s| is)|calculate|compute|solve|evaluate)\s"
)
_OPENED, _CLOSED = re.compile(r"(?<![A-Za-z0-9.,!?])\"(?=[^\s])"), re.compile(r"(?<=[A-Za-z.,!?])\"")
_BETWEEN = re.compile(r"\b[Bb]etween\s$")
_CLOSING = frozenset("\"'”’)]*_")
_BEGINS_A_SENTENCE = re.compile(
    r"\s(?:The|This|That|These|Those|There|It|He|She|They|We|I|You|But|And|So|A|An|In|On|At|If|My|Our|Your|His|Her|Its"
    r"|Please|When|What|Who|How|No|Yes|Then|Now|Is|Are|Do|Did|Call|Turn)\b"
)


def before(match: re.Match[str], chars: int = 48) -> str:
    """Returns at most `chars` characters of the text before the match."""
    return rule.before(match, chars)


def after(match: re.Match[str], chars: int = 32) -> str:
    """Returns at most `chars` characters of the text after the match."""
    return rule.after(match, chars)


def is_formula(match: re.Match[str]) -> bool:
    """Whether a sign of arithmetic stands near the match, or words that ask for a result."""
    near = f"{before(match, 24)} {after(match, 16)}".lower()
    return "=>" not in near and _FORMULA.search(near) is not None


def stop(match: re.Match[str]) -> str:
    """Returns the period of a dotted abbreviation if it also ends the sentence, else an empty text."""
    if match[0][-1:] != ".":
        return ""
    rest = after(match, 16)
    ends = len(rest) < 16 and all(char in _CLOSING or char.isspace() for char in rest)
    return "." if ends or _BEGINS_A_SENTENCE.match(rest) else ""


def is_after_between(match: re.Match[str]) -> bool:
    """Whether the match is a range after "between", whose numbers are joined by "and": between 5-10."""
    return _BETWEEN.search(before(match)) is not None


def is_closing_quote(match: re.Match[str], quote: str) -> bool:
    """Whether a quote was opened in the 200 characters before the match and is open: the mark is not inches or feet."""
    text = match.string[max(0, match.start() - 200) : match.start() + 1]
    if quote == "'":
        opened = len(re.findall(r"(?<![A-Za-z0-9])['‘](?=[A-Za-z0-9])", text))
        return opened > len(re.findall(r"(?<=[A-Za-z.,!?])['’](?![A-Za-z])", text))
    if quote == "”":
        return text.count("“") > text.count("”")
    return len(_OPENED.findall(text)) > len(_CLOSED.findall(text))
