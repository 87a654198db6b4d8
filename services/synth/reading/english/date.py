"""Dates and times of day in English: 2024-05-03, May 3, 5/3/2024 (month first), 14:30, 5pm, the 1990s."""

from __future__ import annotations

import re

from services.synth.reading.english.numeral import cardinal, ordinal, plural, year
from services.synth.reading.rule import Rule

_MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NAMES = {name[:length].lower(): name for name in _MONTHS for length in (3, 4, len(name))}
_DAY, _MONTH = r"(?:3[01]|[12][0-9]|0?[1-9])", r"(?:1[0-2]|0?[1-9])"
_NAME = "|".join(sorted(_MONTH_NAMES, key=lambda name: (-len(name), name)))

_ISO = re.compile(rf"(?<![0-9\-])(?P<y>[12][0-9]{{3}})[\-/](?P<m>{_MONTH})[\-/](?P<d>{_DAY})(?![0-9\-])")
_SLASHED = re.compile(r"(?<![0-9/])(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})/(?P<y>[12][0-9]{3})(?![0-9/])")
_MONTH_DAY = re.compile(
    rf"(?<![A-Za-z])(?P<m>{_NAME})\.?\s(?P<d>{_DAY})(?:st|nd|rd|th)?(?![0-9A-Za-z:])(?:,?\s(?P<y>[12][0-9]{{3}})(?![0-9]))?",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(rf"(?<![0-9.,/:\-])(?P<d>{_DAY})(?:st|nd|rd|th)?\s(?P<m>{_NAME})(?![A-Za-z])", re.IGNORECASE)
_TIME = re.compile(
    r"(?<![0-9:.,])(?P<h>2[0-4]|1[0-9]|0?[0-9]):(?P<m>[0-5][0-9])(?![0-9:])(?P<half>\s?[AaPp]\.?[Mm](?:\.(?=\s[a-z]))?(?![A-Za-z]))?"
)
_HOUR = re.compile(r"(?<![0-9:.,])(?P<h>1[0-2]|[1-9])(?P<half>[AaPp]\.?[Mm])(?![A-Za-z])")
_DECADE = re.compile(r"(?<![0-9.,])['’]?(?P<c>[12][0-9])?(?P<d>[1-9]0)['’]?s(?![A-Za-z])")
_YEAR = re.compile(r"(?<![0-9.,$€£\-])(?P<y>1[1-9][0-9]{2}|20[0-9]{2})(?![0-9A-Za-z]|[.,][0-9])")
_OF_A_YEAR = re.compile(
    r"\b(?:in|since|by|of|from|until|till|before|after|year|early|late|circa|and|to)\s$", re.IGNORECASE
)


def date(year_number: int | None, month: int | None, day: int | None) -> str | None:
    """Returns the given parts of a date in words; None if there is no such month or day."""
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31:
        return None
    said = " ".join(([_MONTHS[month - 1]] if month else []) + ([ordinal(day)] if day else []))
    if year_number is None:
        return said or None
    words = year(year_number) if year_number >= 1000 else cardinal(year_number)
    return f"{said}, {words}" if said else words


def _iso(match: re.Match[str]) -> str | None:
    return date(int(match["y"]), int(match["m"]), int(match["d"]))


def _slashed(match: re.Match[str]) -> str | None:
    """Take the month first, unless that is not a date."""
    number, first, second = int(match["y"]), int(match["a"]), int(match["b"])
    if not first or not second:
        return None
    return date(number, first, second) or date(number, second, first)


def _month_day(match: re.Match[str]) -> str | None:
    if match["m"].islower():
        return None  # "you may 3"
    number = int(match["y"]) if match["y"] else None
    return date(number, _MONTHS.index(_MONTH_NAMES[match["m"].lower()]) + 1, int(match["d"]))


def _day_month(match: re.Match[str]) -> str | None:
    if match["m"].islower():
        return None
    return f"{ordinal(int(match['d']))} of {_MONTH_NAMES[match['m'].lower()]}"


def _half(text: str | None) -> str:
    return f" {text.strip()[0].upper()}M" if text else ""


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match["h"]), int(match["m"]), _half(match["half"])
    if not minute and hour <= 12:
        return cardinal(hour) + (half or " o'clock")
    tail = "hundred" if not minute else f"oh {cardinal(minute)}" if minute < 10 else cardinal(minute)
    return f"{cardinal(hour)} {tail}{half}"


def _hour(match: re.Match[str]) -> str:
    return cardinal(int(match["h"])) + _half(match["half"])


def _decade(match: re.Match[str]) -> str:
    return (f"{cardinal(int(match['c']))} " if match["c"] else "") + plural(cardinal(int(match["d"])))


def _year(match: re.Match[str]) -> str | None:
    """Read 1900 to 2099 as a year; an earlier number only after a word like "in" or "since"."""
    number = int(match["y"])
    return year(number) if number >= 1900 or _OF_A_YEAR.search(match.string[: match.start()][-10:]) else None


RULES = (
    Rule(_ISO, _iso),
    Rule(_SLASHED, _slashed),
    Rule(_MONTH_DAY, _month_day),
    Rule(_DAY_MONTH, _day_month),
    Rule(_TIME, _time),
    Rule(_HOUR, _hour),
    Rule(_DECADE, _decade),
)
YEAR_RULES = (Rule(_YEAR, _year),)
"""Must come after the other rules for numbers of four digits."""
