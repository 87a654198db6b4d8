"""Numbers in English, with units and currencies: 3.14, -5, $3.50, 16GB, 10–20%, 1/2, v2.1.0, 555-123-4567."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.english.numeral import LONGEST, cardinal, decimal, digits, ordinal, plural, year
from services.synth.reading.rule import Rule

_PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++(?!\.[0-9]))?"
_MINUS = r"(?<![0-9A-Za-z)%.\-])(?P<minus>[-−])"
_MEASURE = unit.pattern(unit.ENGLISH, unit.ENGLISH_SAME)

_TELEPHONE = re.compile(
    r"(?<![0-9.\-])(?:\+[0-9]{1,3}[\s\-]|1-)?(?:\([0-9]{2,4}\)|[0-9]{2,4})[\s.\-]?[0-9]{3,4}[.\-][0-9]{4}(?![0-9\-]|\.[0-9])"
)
_MONEY = re.compile(
    rf"(?P<minus>[-−])?(?P<sign>[$€£¥₩])\s?(?P<n>{_PLAIN})"
    r"(?:(?P<power>[KkMBT](?![A-Za-z0-9]))|\s(?P<word>thousand|million|billion|trillion))?"
)
_VERSION = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?P<v>[vV])(?P<a>[0-9]+(?:\.[0-9]+)*)|(?P<b>[0-9]+(?:\.[0-9]+){2,}))(?![0-9A-Za-z])"
)
_RANGE = re.compile(
    rf"(?<![0-9A-Za-z.\-])(?P<a>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)\s?[-–—~]\s?(?P<b>{_PLAIN})(?:\s?(?P<unit>{_MEASURE}))?(?![0-9\-])"
)
_QUANTITY = re.compile(rf"(?:{_MINUS})?(?P<n>{_PLAIN})(?P<space>[\s\-]?)(?P<unit>{_MEASURE})")
_ORDINAL = re.compile(r"(?<![0-9.,])(?P<n>[0-9]{1,9})(?:st|nd|rd|th)(?![A-Za-z])")
_FRACTION = re.compile(r"(?<![0-9.,/])(?P<a>[1-9][0-9]?)/(?P<b>[1-9][0-9]?)(?![0-9/.])")
_SET = re.compile(r"(?<![0-9.,/])(?:24/7|50/50)(?![0-9/.])")
_RATIO = re.compile(r"(?<![0-9:.])(?P<a>[0-9]{1,3}):(?P<b>[0-9]{1,3})(?![0-9:])")
_NUMBER = re.compile(rf"(?:{_MINUS})?(?P<n>{_PLAIN})")

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""), "₩": ("won", "won", "", ""),
}  # fmt: skip
_POWERS = {"k": "thousand", "m": "million", "b": "billion", "t": "trillion"}


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"[0-9]+", match[0])
    return ("plus " if match[0][0] == "+" else "") + ", ".join(map(digits, groups))


def _money(match: re.Match[str]) -> str:
    one, many, small_one, small_many = _CURRENCIES[match["sign"]]
    number, power = match["n"], match["word"] or _POWERS.get((match["power"] or "").lower(), "")
    minus = "minus " if match["minus"] else ""
    whole, _, fraction = number.replace(",", "").partition(".")
    if power:
        return f"{minus}{decimal(number)} {power} {many}"
    if not small_one or len(fraction) != 2 or len(whole) > LONGEST:
        return f"{minus}{decimal(number)} {one if number == '1' else many}"
    large, small = int(whole), int(fraction)
    parts = [f"{cardinal(large)} {one if large == 1 else many}"] if large or not small else []
    parts += [f"{cardinal(small)} {small_one if small == 1 else small_many}"] if small else []
    return minus + " and ".join(parts)


def _version(match: re.Match[str]) -> str:
    parts = (match["a"] or match["b"]).split(".")
    return ("version " if match["v"] else "") + " point ".join(decimal(part) for part in parts)


def _unit(name: str, *, one: bool) -> str:
    return unit.ENGLISH_SAME.get(name) or (unit.ENGLISH[name] if one else unit.english_plural(name))


def _quantity(match: re.Match[str]) -> str:
    one = match["n"] == "1" or match["space"] == "-"  # a five kilometer run
    return f"{'minus ' if match['minus'] else ''}{decimal(match['n'])} {_unit(match['unit'], one=one)}"


def _range(match: re.Match[str]) -> str | None:
    first, second = match["a"], match["b"]
    if float(first) >= float(second.replace(",", "")) or (first[0] == "0" and first[1:2] not in ("", ".")):
        return None
    tail = f" {_unit(match['unit'], one=False)}" if match["unit"] else ""
    years = not tail and re.fullmatch(r"[12][0-9]{3} [12][0-9]{3}", f"{first} {second}")
    words = [year(int(part)) if years else decimal(part) for part in (first, second)]
    return f"{words[0]} to {words[1]}{tail}"


def _fraction(match: re.Match[str]) -> str | None:
    above, below = int(match["a"]), int(match["b"])
    if above >= below:
        return None
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
    return f"{cardinal(above)} {name if above == 1 else plural(name)}"


def _set(match: re.Match[str]) -> str:
    """Say twenty-four seven, fifty fifty."""
    return " ".join(map(decimal, match[0].split("/")))


def _ratio(match: re.Match[str]) -> str:
    return f"{decimal(match['a'])} to {decimal(match['b'])}"


def _ordinal(match: re.Match[str]) -> str:
    return ordinal(int(match["n"]))


def _number(match: re.Match[str]) -> str:
    return ("minus " if match["minus"] else "") + decimal(match["n"])


def number(text: str) -> str | None:
    """Reads a text that is one number; None if it is not."""
    match = _NUMBER.fullmatch(text)
    return _number(match) if match else None


def nth(text: str) -> str | None:
    """Returns the ordinal: first for 1; None if the text is not a whole number."""
    return ordinal(int(text)) if text.isascii() and text.isdecimal() and len(text) <= LONGEST else None


RULES = (
    Rule(_TELEPHONE, _telephone),
    Rule(_MONEY, _money),
    Rule(_VERSION, _version),
    Rule(_FRACTION, _fraction),
    Rule(_SET, _set),
    Rule(_RATIO, _ratio),
    Rule(_ORDINAL, _ordinal),
    Rule(_RANGE, _range),
    Rule(_QUANTITY, _quantity),
)
NUMBER_RULES = (Rule(_NUMBER, _number),)
"""Must come after all other rules for numbers."""
