"""Signs in English text: those that are said (&, +, =, @), and those that only separate a word and a number (GPT-4)."""

from __future__ import annotations

import re

from services.synth.reading.rule import Rule, always

_SAID = {
    "&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent ", "±": " plus or minus ",
    "×": " times ", "÷": " divided by ", "°": " degrees ", "≥": " at least ", "≤": " at most ", "≠": " is not ",
    "²": " squared ", "³": " cubed ", "½": " one half ", "¼": " one quarter ", "¾": " three quarters ",
    "№": " number ", "€": " euros ", "£": " pounds ", "$": " dollars ",
}  # fmt: skip
_SPELLED = {
    ".": "dot", ",": "comma", "-": "dash", "_": "underscore", "/": "slash", ":": "colon", "@": "at", "#": "hash",
    "*": "star", "!": "exclamation mark", "?": "question mark",
}  # fmt: skip
_SIGN = re.compile("[" + re.escape("".join(_SAID)) + "]")
_ABOUT = re.compile(r"(?<![0-9A-Za-z])~\s?(?=[0-9])")
_TIMES = re.compile(r"(?:(?<=[0-9])|(?<=[0-9]\s))[x×*]\s?(?=[0-9])")
_SLASH = re.compile(r"(?<=[0-9])/(?=[0-9])")
_HASH = re.compile(r"#(?=[0-9])")
_WORD = re.compile(r"[A-Za-z]++")
_DASH = re.compile(r"(?<=[A-Za-z])-(?=[0-9])|(?<=[0-9])-(?=[A-Za-z])")


def _said(match: re.Match[str]) -> str:
    return _SAID[match[0]]


def named(char: str) -> str:
    """Returns the name of a sign for spelling; empty if it has none."""
    return _SPELLED.get(char) or _SAID.get(char, "").strip()


RULES = (
    Rule(_ABOUT, always("about ")),
    Rule(_TIMES, always(" times ")),
    Rule(_WORD, lambda match: match[0]),
    Rule(_SLASH, always(" slash ")),
    Rule(_DASH, always(" ")),
    Rule(_HASH, always("number ")),
    Rule(_SIGN, _said),
)
