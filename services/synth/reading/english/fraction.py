"""Numbers with a slash in English: fractions (1 1/2), days (on 3/15), ratings (8/10), blood pressure (120/80)."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.english import date
from services.synth.reading.english.context import after, before, is_closing_quote, stop
from services.synth.reading.english.numeral import cardinal, decimal, ordinal, plural
from services.synth.reading.rule import Rule, always

_INCH = r"(?P<inch>\s?[\x22″](?![A-Za-z0-9])|[\s\-]in\.(?=\s[a-z(]|,|$))?"
_SLASH = re.compile(
    r"(?<![0-9A-Za-z.,/$€£])(?:(?P<from>[0-9]{1,3})\s?(?:[-–—]|to(?=\s))\s?(?=[0-9]{1,3}\s[0-9]))?"
    r"(?:(?P<whole>[0-9]{1,3})[\s\-])?(?P<a>[0-9]{1,4})/(?P<b>[0-9]{1,4})(?![0-9/A-Za-z]|[.,][0-9])"
    rf"{_INCH}"
)
_ALONE = re.compile(r"(?<![0-9A-Za-z.,/$€£])(?P<a>[0-9]{1,4})/(?P<b>[0-9]{1,4})(?![0-9/]|[.,][0-9])" + _INCH)
_UNIT_BEHIND = re.compile(rf"(?<=[0-9\s\-])(?P<unit>{unit.pattern(unit.ENGLISH, unit.ENGLISH_SAME)})\.?")
_FRACTION_BEFORE = re.compile(r"(?<![0-9/])(?P<whole>[0-9]{1,3}[\s\-])?[0-9]{1,3}/[0-9]{1,3}[\s\-]?$")
_NEGATIVE = re.compile(r"(?<![0-9A-Za-z)\]%.])[-−](?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,3})(?![0-9/A-Za-z]|[.,][0-9])")
_NOUN = re.compile(r"\s(?!(?:wide|long|tall|thick|deep|high|by|x|of|and|or|is|from|apart)\b)[a-z]{2}")
_DENOMINATORS = frozenset({2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64, 100, 1000})
_ALWAYS_OPEN = re.compile(r"(?<![0-9/.])24/7/365(?![0-9/])")
_MONTH_YEAR = re.compile(r"(?<![0-9/.$])(?P<m>1[0-2]|0?[1-9])/(?P<y>(?:19|20)[0-9]{2})(?![0-9/]|[.,][0-9])")
_FIXED = frozenset({(24, 7), (9, 11), (20, 20), (7, 24), (18, 7)})
_ON = re.compile(
    r"\b(?:on|due:?|dated?|starting|starts|effective|expires?|exp\.?|deadline(?: is)?|deadline:|beginning|posted"
    r"|scheduled for"
    r"|(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\.?,?"
    r"|appointment(?: is)?|birthday(?: is)?)\s\(?$",
    re.IGNORECASE,
)
_CARD_ENDS = re.compile(
    r"\b(?:card|visa|mastercard|valid)\b[^!?]{0,36}\b(?:exp\.?|expires?|expiration|expiry|thru|through|until)\s(?:date\s|is\s|on\s)?$",
    re.IGNORECASE,
)
_NEAR_A_DATE = re.compile(
    r"\b(?:by|before|after|since|until|till|through|thru|from|between|week of|as of|for|of|ending|to)\s$"
    r"|[0-9]{1,2}/[0-9]{1,2},?\s?(?:-|–|to|and|through|or)\s?$"
)
_OF_A_WHOLE = re.compile(
    r"\s(?:of|cups?|tsp|tbsp|teaspoons?|tablespoons?|miles?|inch|inches|pounds?|ounces?|majority|hour|hours|price|the|full"
    r"|mile|acre|pint|quart|gallon|teaspoon|vote|share|scale|width|length|size|way|done|empty|year|as)\b|[\s-]?(?:lb|oz|in)\b|[\"″%]"
)
_RATING = re.compile(
    r"\b(?:rat(?:e|ed|ing|es)|scor(?:e|ed|ing|es)|giv(?:e|es|ing)|gave|got|grade|graded|review|earned|solid|easily|pain(?:\slevel)?"
    r"|it's an?|it’s an?)\b[^.!?]{0,24}$",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\s(?:people|doctors|dentists|Americans|users|patients|customers|students|adults|times|stars?|points?|correct|right|questions|on\s(?:the|my|her|his)\s(?:test|quiz|exam)|rating|score)\b"
)
_PRESSURE = re.compile(r"\b(?:BP|blood pressure|pressure|reading|systolic)\b[^.!?]{0,40}$", re.IGNORECASE)
_VISION = re.compile(r"\s?(?:vision|eyesight|sight)\b")
_VISION_BEFORE = re.compile(r"\b(?:vision|eyesight)\b[^.!?]{0,24}$", re.IGNORECASE)
_RATED = re.compile(r"(?<![0-9A-Za-z.,/$€£])(?P<a>[0-9]\.[0-9]{1,2})/(?P<b>5|10)(?:\.0)?(?![0-9/A-Za-z]|[.,][0-9])")
_METER = re.compile(r"[\s-](?:time|meter|beat|signature)\b")
_SPLIT = re.compile(r"\s(?:split|chance|blend|mix|rule|odds|shot|partners?|ownership|cotton|cut|deal)\b")
_DIVIDED = re.compile(r"\s?[=≈]")


def name(above: int, below: int) -> str:
    """Returns a fraction in words: one half, three quarters, two thirds."""
    lower = {2: "half", 4: "quarter", 100: "hundredth", 1000: "thousandth"}.get(below) or ordinal(below)
    if above != 1 and below == 2:
        return f"{cardinal(above)} halves"
    return f"{cardinal(above)} {lower if above == 1 else plural(lower)}"


def _mixed(whole: str, above: int, below: int) -> str:
    """Say two and a half, one and three quarters."""
    part = {(1, 2): "a half", (1, 4): "a quarter"}.get((above, below)) or name(above, below)
    return f"{cardinal(int(whole))} and {part}" if int(whole) else part


def _inch(match: re.Match[str]) -> str:
    """Return the inch after a fraction, or the mark itself if it closes a quotation."""
    mark = match["inch"]
    if mark is None or (mark == '"' and is_closing_quote(match, mark)):
        return mark or ""
    one = not match["whole"] if "whole" in match.re.groupindex else True
    return f" {'inch' if one or _NOUN.match(after(match)) else 'inches'}{stop(match)}"


def _is_common(above: int, below: int) -> bool:
    return 0 < above < below and below in _DENOMINATORS


def _from(match: re.Match[str]) -> str:
    """Return the beginning of the range 1–2 1/2."""
    return f"{cardinal(int(match['from']))} to " if match["from"] else ""


def _slash(match: re.Match[str]) -> str | None:
    above, below = int(match["a"]), int(match["b"])
    if match["whole"] is None or not _is_common(above, below) or below > 64:
        return None
    return _from(match) + _mixed(match["whole"], above, below) + _inch(match)


def _alone(match: re.Match[str]) -> str | None:
    above, below = int(match["a"]), int(match["b"])
    if match["inch"]:
        return name(above, below) + _inch(match) if 0 < above and 1 < below < 1000 else None
    for read in (_pair, _day, _rating, _over, _quotient):
        if (said := read(above, below, match)) is not None:
            return said
    if below and above and 1 < below <= 1000 and (above < below or below < 10) and above <= 99:
        day = 1 <= above <= 12 and 1 <= below <= 31 and below not in _DENOMINATORS and above < below
        return date.date(None, above, below) if day else name(above, below)
    return f"{cardinal(above)} slash {cardinal(below)}"


def _pair(above: int, below: int, match: re.Match[str]) -> str | None:
    """Read 24/7, 9/11, 50/50, 20/40 vision and 4/4 time as two numbers."""
    following = after(match)
    shared = above + below == 100 and min(above, below) >= 10 and not _RATING.search(before(match))
    vision = above == 20 and (_VISION.match(following) or _VISION_BEFORE.search(before(match)))
    timed = below in (2, 4, 8, 16) and above <= 15 and _METER.match(following)
    split = above + below in (10, 100) and _SPLIT.match(following)
    if (above, below) in _FIXED or shared or vision or timed or split:
        return f"{cardinal(above)} {cardinal(below)}"
    return None


def _day(above: int, below: int, match: re.Match[str]) -> str | None:
    """Read a day after a word like "on"; 1/2 is a day only where no fraction is likely."""
    if not (1 <= above <= 12 and 1 <= below <= 31) or _OF_A_WHOLE.match(after(match)):
        return None
    text, padded = before(match), match["a"][0] == "0" or match["b"][0] == "0"
    likely = padded or not _is_common(above, below) or re.search(r"\b(?:until|since|through|thru|between)\s$", text)
    if _CARD_ENDS.search(text) and padded and below > 22:
        return date.date(2000 + below, above, None)
    if _ON.search(text) or padded or (likely and _NEAR_A_DATE.search(text)):
        return date.date(None, above, below)
    return None


def _rating(above: int, below: int, match: re.Match[str]) -> str | None:
    if above > below or not below:
        return None
    rated = below in (5, 10, 20, 25, 50, 100) and _RATING.search(before(match)) is not None
    if rated or _POINTS.match(after(match)) or (above == below > 4) or (below == 100 and above > 10):
        return f"{cardinal(above)} out of {cardinal(below)}"
    return None


def _rated(match: re.Match[str]) -> str | None:
    """Read 4.8/5 as a rating, which has a decimal and is not above its maximum."""
    points, maximum = match["a"], int(match["b"])
    return f"{decimal(points)} out of {cardinal(maximum)}" if float(points) <= maximum else None


def _over(above: int, below: int, match: re.Match[str]) -> str | None:
    """Read a blood pressure."""
    fits = 60 <= above <= 260 and 30 <= below <= 150 and above > below
    if fits and (above >= 90 or _PRESSURE.search(before(match))):
        return f"{cardinal(above)} over {cardinal(below)}"
    return None


def _quotient(above: int, below: int, match: re.Match[str]) -> str | None:
    if below and _DIVIDED.match(after(match)) and (above >= below or not _is_common(above, below)):
        return f"{cardinal(above)} divided by {cardinal(below)}"
    return None


def _unit_behind(match: re.Match[str]) -> str | None:
    """Read the unit after 1/2 in the singular, after 1 1/2 in the plural."""
    fraction = _FRACTION_BEFORE.search(before(match, 16))
    return unit.english(match["unit"], one=fraction["whole"] is None) + stop(match) if fraction else None


def _negative(match: re.Match[str]) -> str | None:
    above, below = int(match["a"]), int(match["b"])
    return f"minus {name(above, below)}" if above and below in _DENOMINATORS else None


RULES = (
    Rule(_NEGATIVE, _negative, first="."),
    Rule(_RATED, _rated, first="0"),
    Rule(_ALWAYS_OPEN, always("twenty-four seven, three sixty-five"), first="0"),
    Rule(_MONTH_YEAR, lambda match: date.date(int(match["y"]), int(match["m"]), None), first="0"),
    Rule(_SLASH, _slash, first="0"),
    Rule(_ALONE, _alone, first="0"),
    Rule(_UNIT_BEHIND, _unit_behind, first="a."),
)
