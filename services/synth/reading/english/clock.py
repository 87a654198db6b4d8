"""Times of day in English: 14:30, 5pm, 1:23:45, and ranges of them: 9am-5pm, 9:00–17:00."""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before, is_after_between
from services.synth.reading.english.numeral import cardinal
from services.synth.reading.rule import Rule

_END = r"(?:\.(?=\s[a-z]|\s?[-–—]))?"  # the last period of p.m. is not the end of the sentence
_ATOM = r"(?P<h{0}>2[0-4]|1[0-9]|0?[0-9])(?::(?P<m{0}>[0-5][0-9]))?(?:\s?(?P<half{0}>[AaPp]\.?[Mm])(?![A-Za-z])\.?)?"
_RANGE = re.compile(
    rf"(?<![0-9:.,/$€£\-–]){_ATOM.format(1)}\s?(?:[-–—~]|to(?=\s))\s?{_ATOM.format(2)}(?![0-9:/%]|[.,][0-9]|-[0-9])"
)
_SECONDS = re.compile(
    r"(?<![0-9:.,])(?P<h>[0-9]{1,2}):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9])(?![0-9:])(?P<half>\s?[AaPp]\.?[Mm](?![A-Za-z]))?"
)
_TIME = re.compile(
    r"(?<![0-9:.,])(?P<h>2[0-4]|1[0-9]|0?[0-9]):(?P<m>[0-5][0-9])(?![0-9:])"
    rf"(?P<half>\s?[AaPp]\.?[Mm]{_END}(?![A-Za-z]))?(?P<named>\so['’]clock)?"
)
_RATIO_BEHIND = re.compile(r"\s(?:scale|ratio|odds|dilution|slope|model)\b")
_RATIO_BEFORE = re.compile(
    r"\b(?:ratio|scale|odds|diluted|slope)(?:\s(?:of|is|at|was))?\s$|\b[Mm]ix(?:ed)?(?:\s(?:it|them))?(?:\sat|\sin)?\s$"
)
_HOUR = re.compile(rf"(?<![0-9:.,])(?P<h>1[0-2]|[1-9])(?P<half>[AaPp]\.?[Mm]{_END})(?![A-Za-z])")
_HOUR_APART = re.compile(
    rf"(?<![0-9:.,])(?P<h>1[0-2]|[1-9])(?P<half>\s(?:[ap]\.m{_END}|AM|PM|[ap]m(?=$|[\s.,;!?)])))(?![A-Za-z])"
)
_EVERY = re.compile(r"(?<![A-Za-z0-9])q(?P<n>[0-9]{1,2})h(?:rs?)?(?![A-Za-z0-9])")  # in prescriptions
_MILITARY = re.compile(r"(?<![0-9A-Za-z:.,])(?P<h>[01][0-9]|2[0-4])(?P<m>[0-5][0-9])(?=\s(?:hours|hrs)\b)")
_AT = re.compile(r"\b(?:at|by|until|till|before|after|from|to|around)\s$")
_DASH = re.compile(r"[-–—](?=\s?(?:[Nn]oon|[Mm]idnight|[0-9]{1,2}(?::[0-9]|\s?[AaPp]\.?[Mm])))")
_TIME_BEFORE = re.compile(r"(?:\b[Nn]oon|\b[Mm]idnight|[0-9]\s?[AaPp]\.?[Mm]\.?)\s?$")
_HOURS_MINUTES = re.compile(
    r"(?<![0-9A-Za-z.,:])(?P<h>[0-9]{1,3})\s?hr?s?\s?(?P<m>[0-5]?[0-9])\s?m(?:ins?)?(?:\s?(?P<s>[0-5]?[0-9])\s?s)?(?![A-Za-z0-9])"
)


def _half(text: str | None) -> str:
    return f" {text.strip()[0].upper()}M" if text else ""


def _two_digits(number: int) -> str:
    return f"oh {cardinal(number)}" if 0 < number < 10 else "oh oh" if not number else cardinal(number)


def _clock(hour: int, minute: int, half: str, full: str) -> str:
    """Say a time; `full` is said after a full hour that has no AM or PM."""
    if not minute and hour <= 12:
        return cardinal(hour) + (half or full)
    if not minute and half:
        return cardinal(hour) + half
    return f"{cardinal(hour)} {_two_digits(minute) if minute else 'hundred'}{half}"


def _time(match: re.Match[str]) -> str | None:
    if _RATIO_BEHIND.match(after(match)) or _RATIO_BEFORE.search(before(match)):
        return None  # a 1:50 scale
    return _clock(int(match["h"]), int(match["m"]), _half(match["half"]), " o'clock")


def _seconds(match: re.Match[str]) -> str:
    parts = (cardinal(int(match["h"])), _two_digits(int(match["m"])), _two_digits(int(match["s"])))
    return " ".join(parts) + _half(match["half"])


def _hour(match: re.Match[str]) -> str:
    return cardinal(int(match["h"])) + _half(match["half"])


def _range(match: re.Match[str]) -> str | None:
    """Read a range if one side has minutes or AM or PM; 3-2 is left to other rules."""
    first, last = bool(match["m1"] or match["half1"]), bool(match["m2"] or match["half2"])
    if not first and not last:
        return None  # 3-2
    if not last and not (0 < int(match["h2"]) <= 12 and match["h2"][0] != "0"):
        return None
    if not first and not 0 < int(match["h1"]) <= 12:
        return None
    begin, end = (
        _clock(int(match[f"h{side}"]), int(match[f"m{side}"] or 0), _half(match[f"half{side}"]), "") for side in "12"
    )
    ends = match[0][-1] == "." and not match.string[match.end() : match.end() + 2].strip()
    between = "and" if is_after_between(match) else "to"
    return f"{begin} {between} {end}{'.' if ends else ''}"


def _hours_minutes(match: re.Match[str]) -> str:
    """Read 2h 15m as two hours fifteen minutes."""
    parts = [(match["h"], "hour"), (match["m"], "minute"), (match["s"], "second")]
    return " ".join(f"{cardinal(int(n))} {name}{'' if int(n) == 1 else 's'}" for n, name in parts if n)


def _military(match: re.Match[str]) -> str | None:
    """Read at 0800 hours as zero eight hundred hours."""
    if not _AT.search(before(match)):
        return None
    hour, minute = match["h"], int(match["m"])
    said = f"zero {cardinal(int(hour))}" if hour[0] == "0" else cardinal(int(hour))
    return f"{said} {'hundred' if not minute else _two_digits(minute)}"


def _dash(match: re.Match[str]) -> str | None:
    return " to " if _TIME_BEFORE.search(before(match)) else None


RULES = (
    Rule(_EVERY, lambda match: f"every {cardinal(int(match['n']))} hours", first="a"),
    Rule(_MILITARY, _military, first="0"),
    Rule(_DASH, _dash, first="."),
    Rule(_HOURS_MINUTES, _hours_minutes, first="0"),
    Rule(_SECONDS, _seconds, first="0"),
    Rule(_RANGE, _range, first="0"),
    Rule(_TIME, _time, first="0"),
    Rule(_HOUR, _hour, first="0"),
    Rule(_HOUR_APART, _hour, first="0"),
)
