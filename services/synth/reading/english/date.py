"""Dates in English: 2024-05-03, May 3, 5/3/2024 (month first), the 1990s, 44 BC, Mon.–Fri., Jan.–Dec."""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before, stop
from services.synth.reading.english.numeral import cardinal, ordinal, plural, year
from services.synth.reading.rule import Rule, always

MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NAMES = {name[:length].lower(): name for name in MONTHS for length in (3, 4, len(name))}
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_WEEKDAY_NAMES = {name[:3]: name for name in _WEEKDAYS} | {
    "Tues": "Tuesday", "Weds": "Wednesday", "Thur": "Thursday", "Thurs": "Thursday",
}  # fmt: skip
_DAY, _MONTH = r"(?:3[01]|[12][0-9]|0?[1-9])", r"(?:1[0-2]|0?[1-9])"
_NAME = "|".join(sorted(_MONTH_NAMES, key=lambda name: (-len(name), name)))
_SHORT_MONTH = "Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec"
_SHORT_WEEKDAY = "|".join(sorted(_WEEKDAY_NAMES, key=lambda name: (-len(name), name)))
_ANY_WEEKDAY = f"{'|'.join(_WEEKDAYS)}|{_SHORT_WEEKDAY}"
_ANY_MONTH = f"{'|'.join(MONTHS)}|{_SHORT_MONTH}"
_TO = r"\s?[-–—]\s?"

_ISO = re.compile(rf"(?<![0-9\-])(?P<y>[12][0-9]{{3}})[\-/](?P<m>{_MONTH})[\-/](?P<d>{_DAY})(?![0-9\-])")
_NUMERIC = re.compile(
    r"(?<![0-9/.\-])(?P<a>[0-9]{1,2})(?P<mark>[/\-.])(?P<b>[0-9]{1,2})(?P=mark)(?P<y>[12][0-9]{3}|[0-9]{2})(?![0-9/]|[\-.][0-9])"
)
_MONTH_DAY = re.compile(
    rf"(?<![A-Za-z])(?P<m>{_NAME})\.?\s(?P<d>{_DAY})(?:st|nd|rd|th)?(?![0-9A-Za-z:]|[,.][0-9])"
    rf"(?:{_TO}(?P<last>{_DAY})(?:st|nd|rd|th)?(?![0-9A-Za-z:/]|[,.][0-9]))?(?:,?\s(?P<y>[12][0-9]{{3}})(?![0-9]))?",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(rf"(?<![0-9.,/:\-])(?P<d>{_DAY})(?:st|nd|rd|th)?\s(?P<m>{_NAME})(?![A-Za-z])", re.IGNORECASE)
_MONTH_YEAR = re.compile(rf"(?<![A-Za-z])(?P<m>{_SHORT_MONTH})\.?\s(?=['’]?[0-9]{{2,4}}(?![0-9A-Za-z:%]))")
_SPAN_OF_NAMES = re.compile(
    rf"(?<![A-Za-z])(?:(?P<a>{_ANY_WEEKDAY})\.?{_TO}(?P<b>{_ANY_WEEKDAY})|(?P<c>{_ANY_MONTH})\.?{_TO}(?P<d>{_ANY_MONTH}))"
    r"(?![A-Za-z])\.?"
)
_WORK_WEEK = re.compile(r"(?<![A-Za-z0-9\-])M[-–]F(?=[,:]?\s[0-9])")
_WEEKDAY = re.compile(rf"(?<![A-Za-z.])(?P<w>{_SHORT_WEEKDAY})(?![A-Za-z'’\-])\.?")
_MONTH_ALONE = re.compile(rf"(?<![A-Za-z.])(?P<m>{_SHORT_MONTH})(?![A-Za-z'’\-])\.?")
_DASH_TO_DATE = re.compile(r"[-–—](?=\s?[A-Z])")
_DASH_TO_DECADE = re.compile(r"(?<=0s)[-–]\s?(?=['’]?(?:[12][0-9])?[0-9]0s(?![A-Za-z0-9]))")
_CENTURY = re.compile(r"(?<![0-9.,$€£])(?P<c>[2-9])00s(?![A-Za-z0-9])")
_DECADE = re.compile(r"(?<![0-9.,$€£])(?P<mark>['’])?(?P<c>[12][0-9])?(?P<d>[0-9]0)['’]?s(?![A-Za-z0-9])")
_ERA = re.compile(r"(?<![0-9.,$€£\-])(?P<y>[0-9]{1,4})(?=\s?(?:BCE?|CE|A\.?D)(?![A-Za-z])|\s?B\.\s?C\.)")
_SEASON = re.compile(
    r"(?<![0-9A-Za-z.,$€£\-])(?P<y>(?:19|20)[0-9]{2})[-–/](?P<next>[0-9]{2})(?![0-9A-Za-z]|[-–/.,][0-9])"
)
_SHORT_YEAR = re.compile(r"['’](?P<y>[0-9]{2})(?![0-9A-Za-z\"″'′])")
_YEAR = re.compile(r"(?<![0-9.,$€£\-])(?P<y>1[0-9]{3}|20[0-9]{2})(?![0-9A-Za-z]|[.,][0-9])")
_OF_A_YEAR = re.compile(
    r"\b(?:in|since|by|of|from|until|till|before|after|year|early|late|circa|and|to|around|c\.|AD|A\.D\.|summer|winter"
    r"|spring|fall|autumn|est\.|established|founded|born|died|dated|built)\s$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\s(?:people|men|women|children|calories|dollars|users|points|miles|votes|steps|words|items|units|copies|students"
    r"|soldiers|hours|minutes|days|pounds|square|feet|meters|kilometers|tons|seats|jobs|cars|times|employees|customers"
    r"|guests|homes|houses|acres|gallons|liters|pages|lines|characters|rounds|percent|cases|deaths|troops|views|likes)\b"
)
_COUNT = re.compile(
    r"\s(?!(?:was|is|has|as|this|his|its|us|does|across|always|thus|perhaps|series|news|class)\b)[a-z]{2,16}s\b"
)
_WEEKDAY_IS_NEAR = re.compile(
    r"\b(?:on|this|next|last|every|until|till|by|from|each|to|through|and|or|since)\s$|[-–(,/]\s?$|[0-9]\s?(?:[AaPp]\.?[Mm]\.?)?\s$"
)
_WEEKDAY_FOLLOWS = re.compile(
    r"\.?,?\s(?:[0-9]|at\s[0-9]|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)|morning|afternoon|evening|night)|\s?[&/,]\s|/(?=[A-Z])|,?\s(?:and|or|through|thru|to)\s(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
)
_ENDS_A_DATE = re.compile(
    rf"(?:\b(?:{_ANY_MONTH})\.?\s[0-9]{{1,2}}(?:st|nd|rd|th)?(?:,\s[0-9]{{4}})?|\b(?:{_ANY_MONTH})\.?\s[0-9]{{4}})\s?$"
)
_BEGINS_WITH_MONTH = re.compile(rf"\s?(?:{_ANY_MONTH})(?![A-Za-z])")
_CLEAR_MONTHS = frozenset({"Feb", "Aug", "Sept", "Sep", "Oct", "Nov", "Dec"})
_IN_A_MONTH = re.compile(r"\b(?:in|since|until|till|by|last|next|this|early|late|mid|from|to|through|and|of)[\s\-]$")
_PAUSE_AHEAD = re.compile(r"$|[.,;:!?)]")


def month(name: str) -> int | None:
    """Returns the number of a month from its name or abbreviation without a period; None if it is not one."""
    full = _MONTH_NAMES.get(name.lower())
    return MONTHS.index(full) + 1 if full else None


def date(year_number: int | None, month: int | None, day: int | None) -> str | None:
    """Returns the given parts of a date in words; None if there is no such month or day."""
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31:
        return None
    said = " ".join(([MONTHS[month - 1]] if month else []) + ([ordinal(day)] if day else []))
    if year_number is None:
        return said or None
    words = year(year_number) if year_number >= 1000 else cardinal(year_number)
    return f"{said}, {words}" if said else words


def _iso(match: re.Match[str]) -> str | None:
    return date(int(match["y"]), int(match["m"]), int(match["d"]))


def _numeric(match: re.Match[str]) -> str | None:
    """Take the month first, unless that is not a date or periods separate the numbers, as in Europe."""
    number, first, second = int(match["y"]), int(match["a"]), int(match["b"])
    if not first or not second or (len(match["y"]) == 2 and match["mark"] != "/"):
        return None
    if len(match["y"]) == 2:
        number += 2000 if number < 70 else 1900
    if match["mark"] == ".":
        return date(number, second, first) or date(number, first, second)
    return date(number, first, second) or date(number, second, first)


def _month_day(match: re.Match[str]) -> str | None:
    if match["m"].islower():
        return None  # "you may 3"
    number = int(match["y"]) if match["y"] else None
    if match["last"] is None:
        return date(number, month(match["m"]), int(match["d"]))
    tail = f"{ordinal(int(match['last']))}{f', {year(number)}' if number else ''}"
    return f"{date(None, month(match['m']), int(match['d']))} to {tail}"


def _day_month(match: re.Match[str]) -> str | None:
    if match["m"].islower():
        return None
    return f"{ordinal(int(match['d']))} of {_MONTH_NAMES[match['m'].lower()]}"


def _month_year(match: re.Match[str]) -> str:
    return f"{_MONTH_NAMES[match['m'].lower()]} "


def _full(name: str) -> str:
    return _WEEKDAY_NAMES.get(name) or _MONTH_NAMES.get(name.lower()) or name


def _span_of_names(match: re.Match[str]) -> str:
    return f"{_full(match['a'] or match['c'])} to {_full(match['b'] or match['d'])}{stop(match)}"


def _weekday(match: re.Match[str]) -> str | None:
    """Read Sat. and Sun. as days where a day is likely: the sun and "he sat" stay."""
    dotted = match[0][-1] == "." and not stop(match)
    following = match[0][len(match["w"]) :] + after(match)
    near = _WEEKDAY_IS_NEAR.search(before(match)) and (match[0][-1] == "." or _PAUSE_AHEAD.match(following))
    if dotted or near or _WEEKDAY_FOLLOWS.match(following):
        return _WEEKDAY_NAMES[match["w"]] + stop(match)
    return None


def _month_alone(match: re.Match[str]) -> str | None:
    dotted = match[0][-1] == "." and match["m"] not in ("May", "June", "July") and not stop(match)
    in_month = _IN_A_MONTH.search(before(match)) and match["m"] not in ("Mar", "Jan", "May")
    if dotted or (in_month and (match["m"] in _CLEAR_MONTHS or match["m"] in ("Apr", "Jun", "Jul", "June", "July"))):
        return _MONTH_NAMES[match["m"].lower()] + stop(match)
    return None


def _dash_to_date(match: re.Match[str]) -> str | None:
    """Read the dash of Oct 5 - Nov 2."""
    dates = _ENDS_A_DATE.search(before(match)) and _BEGINS_WITH_MONTH.match(after(match))
    return " to " if dates else None


def _decade(match: re.Match[str]) -> str | None:
    century, tens = match["c"], int(match["d"])
    if not tens:
        if century is None or (int(century) < 11):
            return None
        return "two thousands" if century == "20" else f"{cardinal(int(century))} hundreds"
    if (
        not century
        and not match["mark"]
        and re.search(r"\b(?:in|for|after|every|within|took|under|wait)\s$", before(match))
    ):
        if _PAUSE_AHEAD.match(after(match)):
            return None  # in 30s: seconds
    return (f"{cardinal(int(century))} " if century else "") + plural(cardinal(tens))


def _era(match: re.Match[str]) -> str:
    number = int(match["y"])
    return year(number) if number >= 1000 else cardinal(number)


def _season(match: re.Match[str]) -> str | None:
    """Read 2023-24 as twenty twenty-three to twenty-four."""
    first, last = int(match["y"]), int(match["next"])
    if last <= first % 100 or first % 100 + 12 < last:
        return None
    return f"{year(first)} to {cardinal(last) if last > 9 else f'oh {cardinal(last)}'}"


def _short_year(match: re.Match[str]) -> str:
    number = int(match["y"])
    return cardinal(number) if number > 9 else f"oh {cardinal(number)}"


def _year(match: re.Match[str]) -> str | None:
    """Read 1900 to 2099 as a year; an earlier number only after a word like "in" or "since"."""
    number, following = int(match["y"]), after(match)
    if _COUNTED.match(following) and not re.search(r"\b(?:the|in)\s$", before(match), re.IGNORECASE):
        return None
    if number >= 1900:
        return year(number)
    return year(number) if _OF_A_YEAR.search(before(match, 14)) and not _COUNT.match(following) else None


RULES = (
    Rule(_ISO, _iso, first="0"),
    Rule(_NUMERIC, _numeric, first="0"),
    Rule(_MONTH_DAY, _month_day, first="a"),
    Rule(_DAY_MONTH, _day_month, first="0"),
    Rule(_MONTH_YEAR, _month_year, first="a"),
    Rule(_SPAN_OF_NAMES, _span_of_names, first="a"),
    Rule(_WORK_WEEK, always("Monday to Friday"), first="a"),
    Rule(_WEEKDAY, _weekday, first="a"),
    Rule(_MONTH_ALONE, _month_alone, first="a"),
    Rule(_DASH_TO_DATE, _dash_to_date, first="."),
    Rule(_DASH_TO_DECADE, always(" to "), first="."),
    Rule(_CENTURY, lambda match: f"{cardinal(int(match['c']))} hundreds", first="0"),
    Rule(_DECADE, _decade, first="0."),
    Rule(_ERA, _era, first="0"),
    Rule(_SEASON, _season, first="0"),
)
YEAR_RULES = (Rule(_SHORT_YEAR, _short_year, first="."), Rule(_YEAR, _year, first="0"))
"""Must come after the other rules for numbers of four digits."""
