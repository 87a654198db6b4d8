"""Feet and inches in English: 6'2", 5 ft 10 in, a 12" ruler. A quotation mark after a number is not inches."""

from __future__ import annotations

import re

from services.synth.reading.common import PLAIN
from services.synth.reading.english.context import after, is_closing_quote, stop
from services.synth.reading.english.numeral import cardinal, decimal
from services.synth.reading.rule import Rule, always

_FEET_INCHES = re.compile(
    r"(?<![0-9A-Za-z.,])(?P<ft>[0-9]{1,3})\s?['′’](?:(?P<in>1[01]|[0-9])(?P<half>\s1/2)?(?![0-9A-Za-z.])"
    r"|\s?[\-]?(?P<far>1[01]|[0-9])(?P<far_half>\s1/2)?(?=[\"″”]))(?:[\"″”]|''|′′)?"
)
_TO_LENGTH = re.compile(r"(?<=[0-9][\"″′'])[-–](?=[0-9])")
_FEET_AND = re.compile(
    r"(?<![0-9A-Za-z.,])(?P<ft>[0-9]{1,3})(?:\s?(?:ft|feet|foot)\.?,?\s?)(?P<in>1[01]|[0-9])\s?(?:inches|inch|in)(?![A-Za-z])\.?"
)
_ALONE = r"(?<![0-9.,'′’])(?:(?<![A-Za-z])|(?<=[0-9'′\"″][xX]))"
_FEET = re.compile(rf"{_ALONE}(?P<n>{PLAIN})(?P<mark>['′])(?![A-WYZa-wyz0-9]|[xX][^0-9])")
_INCHES = re.compile(
    rf"{_ALONE}(?P<n>{PLAIN})(?:(?P<mark>[\"″”])(?![A-WYZa-wyz0-9]|[xX][^0-9])|[\s\-]?in\.(?=\s[a-z(]|,|$)|-in(?=\s))"
)
_BEHIND_INCH = re.compile(
    r"\s(?!(?:must|can|will|may|by|x|and|or|is|was|in|of|long|wide|tall|high|deep|thick|apart|away|from|at|to)\b)[a-zA-Z]{2}"
)


def _two(match: re.Match[str], feet: str, inches: str) -> str:
    half = " and a half" if match.re is _FEET_INCHES and (match["half"] or match["far_half"]) else ""
    return f"{cardinal(int(feet))} foot {cardinal(int(inches))}{half}"


def _feet_inches(match: re.Match[str]) -> str:
    """Read 6'2" as six foot two."""
    return _two(match, match["ft"], match["in"] or match["far"])


def _feet_and(match: re.Match[str]) -> str:
    """Read 5 ft 10 in as five feet ten inches."""
    feet, inches = int(match["ft"]), int(match["in"])
    names = ("foot" if feet == 1 else "feet", "inch" if inches == 1 else "inches")
    return f"{cardinal(feet)} {names[0]} {cardinal(inches)} {names[1]}{stop(match)}"


def _feet(match: re.Match[str]) -> str | None:
    if match["mark"] == "'" and is_closing_quote(match, "'"):
        return None
    adjective = _BEHIND_INCH.match(after(match)) is not None
    return f"{decimal(match['n'])} {'foot' if match['n'] == '1' or adjective else 'feet'}"


def _inches(match: re.Match[str]) -> str | None:
    if match["mark"] in ('"', "”") and is_closing_quote(match, match["mark"]):
        return None
    one = match["n"] == "1" or "-in" in match[0] or (match["mark"] and _BEHIND_INCH.match(after(match)))
    return f"{decimal(match['n'])} {'inch' if one else 'inches'}{stop(match)}"


RULES = (
    Rule(_TO_LENGTH, always(" to "), first="."),
    Rule(_FEET_INCHES, _feet_inches, first="0"),
    Rule(_FEET_AND, _feet_and, first="0"),
    Rule(_FEET, _feet, first="0"),
    Rule(_INCHES, _inches, first="0"),
)
