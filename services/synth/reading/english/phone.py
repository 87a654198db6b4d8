"""Telephone numbers in English, digit by digit: (415) 555-2671, +44 20 7946 0958, 911 after "call", ext. 204."""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before
from services.synth.reading.english.numeral import digits
from services.synth.reading.rule import Rule

_EXTENSION = r"(?:(?:,\s?|\s)?(?:ext\.?|extension|x)\s?(?P<ext>[0-9]{1,6})(?![0-9A-Za-z]))?"
_AMERICAN = re.compile(
    r"(?<![0-9A-Za-z.\-+])(?:\+?1[\s.\-]?)?(?:\([0-9]{3}\)[\s.\-]?|[0-9]{3}[\s.\-])[0-9]{3}[\s.\-][0-9]{4}"
    rf"(?![0-9A-Za-z]|[.,\-][0-9]){_EXTENSION}"
)
_WITH_PLUS = re.compile(r"\+[1-9][0-9]{0,14}+(?:[\s.\-]?\([0-9]{1,5}\))?(?:[\s.\-][0-9]{1,11}){0,6}+(?![0-9A-Za-z])")
_ABROAD = re.compile(r"(?<![0-9A-Za-z.\-])011(?:[\s\-][0-9]{1,6}){2,6}+(?![0-9A-Za-z])")
_IN_GROUPS = re.compile(
    r"(?<![0-9.\-])(?:\+[0-9]{1,3}[\s\-]|1-)?(?:\([0-9]{2,4}\)|[0-9]{2,4})[\s.\-]?[0-9]{3,4}[.\-][0-9]{4}(?![0-9\-]|\.[0-9])"
    rf"{_EXTENSION}"
)
_LOCAL = re.compile(rf"(?<![0-9A-Za-z.\-$])[2-9][0-9]{{2}}[\-.][0-9]{{4}}(?![0-9A-Za-z]|[.,\-][0-9]){_EXTENSION}")
_VANITY = re.compile(
    r"(?<![0-9A-Za-z\-])(?:1-)?(?:8[0-9]{2}|900)-(?=[A-Z0-9\-]{0,12}[A-Z])[A-Z0-9]{1,9}(?:-[A-Z0-9]{2,9})?(?![A-Za-z0-9\-])"
)
_PLAIN = re.compile(r"(?<![0-9A-Za-z.,$\-])(?:1?[2-9][0-9]{9}|[2-9][0-9]{6})(?![0-9A-Za-z]|[.,\-][0-9])")
_SHORT = re.compile(r"(?<![0-9A-Za-z.,$\-#])(?:[2-9]11|988|112|999)(?![0-9A-Za-z]|[.,\-/:][0-9])")
_EXTENSION_ALONE = re.compile(
    r"(?<![A-Za-z0-9])(?:[Ee]xt(?:\.\s?|\s)|x(?=[0-9]{3,5}(?![0-9])))(?P<ext>[0-9]{1,6})(?![0-9A-Za-z])"
)

_CALLED = re.compile(
    r"(?:\b(?:call(?:ed|ing|s)?|dial(?:ed|ing|s)?|phon(?:e|ed|ing)|ring|text(?:ed|ing)?|fax|tel|telephone|cell|mobile|contact|reach(?:ed)?)\b"
    r"[a-z\s:.,']{0,16}|\b(?:number|line|hotline)(?:\s(?:is|was)|:)?\s)(?:[0-9]{3}\s(?:or|and)\s)?[\"“(]?$",
    re.IGNORECASE,
)
_CALLED_DIRECTLY = re.compile(
    r"\b(?:call(?:ed|ing|s)?|dial(?:ed|ing|s)?|phon(?:e|ed|ing)|ring|rang|text(?:ed|ing)?|reach(?:ed)?)(?:\sor\s[a-z]{4,6})?"
    r"\s(?:[0-9]{3}(?:\s[A-Za-z]{2,10}){0,3},?\s(?:or|and)\s)?[\"“(]?$|\b(?:lifeline|hotline)(?:\s(?:at|is)|:|\()?\s?\(?$",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"[\s-](?:calls?|callers?|operators?|dispatch(?:er|ers)?|emergency|emergencies|hotline|lifeline|call\scenter|helpline"
    r"|system|line|services?)\b"
)
_COUNTED = re.compile(
    r"\s(?!(?:is|was|has|as|this|always|crisis|unless|emergencies)\b)(?:[a-z]{2,16}s|people|more|of)\b"
)
_OWN = re.compile(r"\b(?:a|his|her|my)\s$")
_NAMES = re.compile(r"\b(?:Porsche|Flight|Room|Carrera|Route|Highway)\s$")


def _spoken(match: re.Match[str]) -> str:
    number = match[0][: match.start("ext") - match.start()] if match["ext"] else match[0]
    return _groups(number) + (f", extension {digits(match['ext'])}" if match["ext"] else "")


def _groups(number: str) -> str:
    said = ", ".join(map(digits, re.findall(r"[0-9]+", number)))
    return f"plus {said}" if number[0] == "+" else said


def _with_plus(match: re.Match[str]) -> str | None:
    count = sum(char.isdecimal() for char in match[0])
    return _groups(match[0]) if 8 <= count <= 15 else None


def _local(match: re.Match[str]) -> str | None:
    """Read 555-0199 as a telephone; 100-1000 as a range, unless words before it say that it is called."""
    first, second = re.split(r"[\-.]", match[0][:8])
    telephone = "-" in match[0][:4] and (first == "555" or second[0] == "0" or match["ext"])
    return _spoken(match) if telephone or _CALLED.search(before(match)) else None


def _vanity(match: re.Match[str]) -> str:
    """Read 1-800-FLOWERS: digits, and words as they are."""
    parts = match[0].split("-")
    return ", ".join(
        " ".join(run if run.isalpha() else digits(run) for run in re.findall(r"[A-Z]+|[0-9]+", part)) for part in parts
    )


def _plain(match: re.Match[str]) -> str | None:
    number = match[0]
    if number.endswith("000") and len(number) < 10 or not _CALLED.search(before(match)):
        return None
    ends = (4, 7) if len(number) == 11 else (3, 6)
    parts = (
        (number[:3], number[3:])
        if len(number) == 7
        else (number[: ends[0]], number[ends[0] : ends[1]], number[ends[1] :])
    )
    return ", ".join(map(digits, parts))


def _short(match: re.Match[str]) -> str | None:
    text = before(match)
    following = after(match)
    service = match[0][1:] == "11" and _SERVICE.match(following)
    called = _CALLED_DIRECTLY.search(text) and not _COUNTED.match(following)
    if match[0] == "911" and _OWN.search(text) and following[:1] in (".", ",", "!", "?", ""):
        return "nine eleven"  # the car
    return digits(match[0]) if (service or called) and not _NAMES.search(text) else None


def _extension(match: re.Match[str]) -> str | None:
    if match[0][0] == "x" and not _CALLED.search(before(match)) and not re.search(r"\b(?:ext|x[0-9])", before(match)):
        return None
    return f"extension {digits(match['ext'])}"


RULES = (
    Rule(_AMERICAN, _spoken, first="0."),
    Rule(_WITH_PLUS, _with_plus, first="."),
    Rule(_ABROAD, lambda match: _groups(match[0]), first="0"),
    Rule(_VANITY, _vanity, first="0"),
    Rule(_IN_GROUPS, _spoken, first="0."),
    Rule(_LOCAL, _local, first="0"),
    Rule(_PLAIN, _plain, first="0"),
    Rule(_SHORT, _short, first="0"),
    Rule(_EXTENSION_ALONE, _extension, first="a"),
)
