"""Signs in English text: those that are said (&, +, @), telephone keys, and those that only separate (GPT-4)."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.english.abbreviation import UNDOTTED
from services.synth.reading.english.context import after, before
from services.synth.reading.english.numeral import digits
from services.synth.reading.rule import Rule, always

_SAID = {
    "&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "%": " percent ", "±": " plus or minus ",
    "×": " times ", "÷": " divided by ", "°": " degrees ", "≥": " at least ", "≤": " at most ",
    "≠": " is not equal to ", "²": " squared ", "³": " cubed ", "№": " number ", "€": " euros ", "£": " pounds ",
    "$": " dollars ", "¢": " cents ", "∞": " infinity ", "≈": " approximately ", "§": " section ", "∈": " in ",
}  # fmt: skip
_SPELLED = {
    ".": "dot", ",": "comma", "-": "dash", "_": "underscore", "/": "slash", ":": "colon", "@": "at", "#": "hash",
    "*": "star", "!": "exclamation mark", "?": "question mark", "~": "tilde",
}  # fmt: skip
_SIGN = re.compile("[" + re.escape("".join(_SAID)) + "]")
_ABOUT = re.compile(r"(?<![0-9A-Za-z])~\s?(?=[0-9$€£])")
_SLASH = re.compile(r"(?<=[0-9])/(?=[0-9])")
_SLASH_AT_LETTER = re.compile(r"(?<=[A-Za-z])/(?=[0-9])|(?<=[0-9])/(?=[A-Za-z])")
_HASH = re.compile(r"#(?=[0-9]|[A-Z]{1,4}-?[0-9])|(?<=[a-z]\s)#\s(?=[A-Z]{0,4}-?[0-9])")
_HASH_BEFORE_COLON = re.compile(r"(?<=[a-z.]\s)#(?=:\s?[A-Z0-9])")  # Acct. #: 110
_HASHTAG = re.compile(r"(?<![A-Za-z0-9#&])#(?=[A-Za-z])")
_SHARP = re.compile(r"(?<=(?<![A-Za-z])[A-GJ])#(?![A-Za-z0-9])")
# A word of small letters at which no other rule begins: most words of a text.
_USUAL = re.compile(
    rf"(?<![A-Za-z0-9])(?!(?:{'|'.join(sorted(UNDOTTED))}|{unit.pattern(unit.ENGLISH, unit.ENGLISH_SAME)}))"
    r"[a-z]{4,}+(?=[\s,;!?)]|:\s|$)"
)
_WORD = re.compile(r"[A-Za-z]++")
_DASH = re.compile(r"(?<=[A-Za-z])-(?=[0-9])|(?<=[0-9])-(?=[A-Za-z])")
_ONE_OR_MORE = re.compile(r"(?<=[A-Za-z])\((?P<s>e?s)\)(?![A-Za-z])")
_LEADING_DOT = re.compile(r"(?<=\s)\.(?=[A-Za-z])")
_FILE = re.compile(
    r"\.(?=(?:pdf|docx?|xlsx?|pptx?|txt|png|jpe?g|gif|csv|js|ts|py|html?|css|mp3|mp4|zip|json|xml|ya?ml|md|exe|app|com|org|net|gov"
    r"|edu|io)(?![A-Za-z0-9]))"
)

_BOTH = re.compile(r"&&")
_INCH = re.compile(r"(?<=[0-9]-)in\.(?=\s)")
_KEY = re.compile(r"(?P<key>[*#])(?P<n>[0-9]{1,6}(?![0-9A-Za-z]))?(?![A-Za-z])")
_KEYS = {"*": "star", "#": "pound"}
_PRESSED = re.compile(
    r"\b(?:press(?:ing|ed)?|hit|push|dial(?:ing)?|enter|tap|punch|touch|push(?:ing)?)"
    r"\s(?:the\s)?(?:[0-9*#],?\s(?:or|and|then)\s)?[\"'“(]?$",
    re.IGNORECASE,
)
_FOLLOWED = re.compile(
    r"\b(?:followed by|then|or|and|with|by|number|code|the|by the|and the|in|a|use)\s[\"'“(]?$|[,;]\s$|[0-9][\"'”]?$",
    re.IGNORECASE,
)
_KEY_BEHIND = re.compile(r"[\"'”)]?\s(?:key|sign|button|symbol)\b")
_ENDS = re.compile(r"$|[.,;:!?)\"'”]|\s(?:to|for|when|at|on|and|or|twice|again|now|then|key)\b")
_CODED = re.compile(r"\bcode(?::|\sis:?)\s$", re.IGNORECASE)
_USE_NEAR = re.compile(r"\b[Uu]se\s(?:[*#]\sor\s)?$|\bcode(?::|\sis)\s[*#]?[0-9]{1,8}$")
_PRESS_NEAR = re.compile(r"\b(?:press|hit|push|dial|enter|tap|key|pound|star)\b", re.IGNORECASE)
_NAMED_BEFORE = re.compile(
    r"\b(?:star|asterisk|pound|hash|number sign|pound sign)(?:\skey|\ssign)?\s\($", re.IGNORECASE
)


def _key(match: re.Match[str]) -> str | None:
    """Say the star and the pound key of a telephone: press *, the # key, followed by #, *69."""
    words, following, number = before(match), after(match), match["n"]
    if _NAMED_BEFORE.search(words):
        return " "
    pressed = _PRESSED.search(words) is not None
    coded = _CODED.search(words) is not None
    near = coded or _PRESS_NEAR.search(words) is not None
    used = near or _USE_NEAR.search(words) is not None
    named = _KEY_BEHIND.match(following) is not None
    if not (pressed or named or coded or (used and _FOLLOWED.search(words) and _ENDS.match(following))):
        return None
    if number and not (pressed or near):
        return None
    tail = f" {digits(number)}" if number else ""
    return f" {_KEYS[match['key']]}{tail}{' ' if not number else ''}"


def named(char: str) -> str:
    """Returns the name of a sign for spelling; empty if it has none."""
    return _SPELLED.get(char) or _SAID.get(char, "").strip()


USUAL_WORD = Rule(_USUAL, lambda match: match[0], first="a")
"""Must come first: it saves the time that the other rules take."""
FIRST_RULES = (
    Rule(_KEY, _key, first="."),
    Rule(_BOTH, always(" and "), first="."),
    Rule(_INCH, always("inch"), first="a"),
)
RULES = (
    Rule(_ABOUT, always("about "), first="."),
    Rule(_WORD, lambda match: match[0], first="a"),
    Rule(_ONE_OR_MORE, lambda match: match["s"], glued=True, first="."),
    Rule(_LEADING_DOT, always("dot "), first="."),
    Rule(_FILE, always(" dot "), first="."),
    Rule(_SLASH, always(" slash "), first="."),
    Rule(_SLASH_AT_LETTER, always(" "), first="."),
    Rule(_DASH, always(" "), first="."),
    Rule(_HASH, always("number "), first="."),
    Rule(_HASH_BEFORE_COLON, always("number"), first="."),
    Rule(_SHARP, always(" sharp"), first="."),
    Rule(_HASHTAG, always("hashtag "), first="."),
    Rule(_SIGN, lambda match: _SAID[match[0]], first="."),
)
