"""Numbers in English with units and signs: 3.14, -5, 16GB, 10–20%, 10.0.0.1, v2.1.0, 1e-5, 10K, 1st–3rd."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import PLAIN
from services.synth.reading.english.context import after, before, is_after_between, is_closing_quote, is_formula, stop
from services.synth.reading.english.money import power
from services.synth.reading.english.numeral import LONGEST, cardinal, decimal, digits, ordinal, year
from services.synth.reading.rule import Rule

_MINUS = r"(?<![0-9A-Za-z)\]%.\-²³°\"″′'”’])(?P<minus>[-−](?!\s))"
_MEASURE = unit.pattern(unit.ENGLISH, unit.ENGLISH_SAME)
_END = r"(?P<end>\.(?=\s[a-z0-9(]|[,)]|$))?"  # the period of oz. and lbs.
_TO = r"\s?(?:[-–—~]|to(?=\s))\s?"

_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z.])(?P<ip>(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[0-9]{1,2}))"
    r"(?::(?P<port>[0-9]{1,5})|/(?P<mask>[0-9]{1,2}))?(?![0-9A-Za-z]|\.[0-9])"
)
_VERSION = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?P<v>v|V(?=\.?[0-9]++\.[0-9]))\.?(?P<a>[0-9]++(?:\.[0-9]++)*+)|(?P<b>[0-9]++(?:\.[0-9]++){2,}+))(?![0-9A-Za-z])"
)
_SCIENTIFIC = re.compile(
    r"(?<![0-9A-Za-z.])(?P<n>[0-9]{1,15}(?:\.[0-9]{1,15})?)(?:e(?P<sign>[+\-−])?|E(?P<Sign>[+\-−]))(?P<power>[0-9]{1,3})(?!\.?[0-9A-Za-z])"
)
_PERCENTS = re.compile(rf"(?P<a>(?<![0-9A-Za-z.,\-])[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)%\s?[-–—~]\s?(?P<b>{PLAIN})%")
_ORDINALS = re.compile(
    rf"(?<![0-9.,])(?P<a>[0-9]{{1,9}})(?:st|nd|rd|th){_TO}(?P<b>[0-9]{{1,9}})(?:st|nd|rd|th)(?![A-Za-z])"
)
_ORDINAL = re.compile(r"(?<![0-9.,])(?P<n>[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,9})(?:st|nd|rd|th)(?![A-Za-z])")
_RANGE = re.compile(
    rf"(?<![0-9A-Za-z.\-–])(?P<minus>[-−])?(?P<a>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)(?P<dash>\s?[-–—~]\s?)(?P<b>{PLAIN})"
    rf"(?:(?P<space>[\s\-]?)(?P<unit>{_MEASURE}){_END})?(?P<mark>[\"″'′](?![A-Za-z0-9]))?(?![0-9–]|-[0-9])"
)
_QUANTITY = re.compile(rf"(?:{_MINUS})?(?P<n>{PLAIN})(?P<space>[\s\-]?)(?P<unit>{_MEASURE}){_END}")
_RATIO = re.compile(r"(?<![0-9:.])(?P<a>[0-9]{1,3}):(?P<b>[0-9]{1,3})(?::(?P<c>[0-9]{1,3}))?(?![0-9:])")
_VERSE = re.compile(
    r"\b(?:Genesis|Exodus|Psalms?|Proverbs|Isaiah|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Revelation|Surah?)\s$"
)
_SCALE = re.compile(
    r"(?<![0-9A-Za-z.,])(?P<n>[0-9]{1,4}(?:\.[0-9]{1,3})?)(?P<letter>[KkM])(?P<plus>\+)?(?![0-9A-Za-z])"
)
_STAYS_K = re.compile(
    r"[\s-](?:run|race|resolution|video|videos|TV|TVs|display|monitor|walk|jog|charity|fun|training|screen|camera|Blu|Ultra)\b"
)
_TIMES_MORE = re.compile(
    r"(?<![0-9A-Za-z.,])(?P<n>[0-9]{1,6}(?:\.[0-9]{1,3})?)[xX×](?=\s(?:faster|slower|more|as|the|better|larger|bigger|cheaper|higher|per|a|daily|weekly|monthly|each|every)\b|/)"
)
_HUNDREDS = re.compile(r"(?<![0-9.,$])1(?P<zeros>0{2,3}|0{6}|,000|,000,000)s(?![A-Za-z0-9])")
_PLAN = re.compile(
    r"(?<![0-9A-Za-z.,])(?P<n>[45][0-9]{2})(?:\s?\((?P<a>[a-z])\)|(?<=401)(?P<k>[kK])(?!\s(?:followers|users|views|people|miles)))(?:\((?P<b>[0-9])\))?(?=s?(?:[\s.,;:!?)\-'’]|$))"
)
_PER = re.compile(
    r"(?<=[0-9A-Za-z%¢²³])\s?/\s?(?P<u>mo|month|yr|year|hr|hour|h|day|wk|week|night|person|people|lb|oz|kg|g|gal|gallon|L|dL|mL|ml"
    r"|min|minute|mm3|sec|second|s|unit|user|seat|ea|each|share|page|word|mile|mi|km|sq ft|sqft|item|serving|ticket"
    r"|GB|MB"
    r"|plate|ton|head|dose|game|visit|session|acre|student|child|room|car|employee)(?![A-Za-z0-9])\.?"
)
_PER_NAMES = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "wk": "week", "lb": "pound", "oz": "ounce",
    "kg": "kilogram",
    "g": "gram", "gal": "gallon", "L": "liter", "dL": "deciliter", "mL": "milliliter", "ml": "milliliter",
    "min": "minute", "mm3": "cubic millimeter", "sec": "second", "s": "second", "ea": "each", "mi": "mile",
    "km": "kilometer",
    "sq ft": "square foot", "sqft": "square foot", "GB": "gigabyte", "MB": "megabyte",
}  # fmt: skip
_NUMBER_NEAR = re.compile(r"[0-9][0-9.,]{0,12}\s?(?:[A-Za-z%¢²³]{0,12}|million|billion|calories)\s?$")
_DEGREES_OF = re.compile(r"(?<=degrees\s)(?P<scale>[FC])(?![A-Za-z])")
_POINT = re.compile(
    rf"(?<![.0-9A-Za-z])(?P<minus>[-−])?(?<!\.)\.(?P<n>[0-9]{{1,15}})(?![0-9]|\.[0-9])(?:(?P<space>[\s\-]?)(?P<unit>{_MEASURE}){_END})?"
)
_NUMBER = re.compile(rf"(?:{_MINUS})?(?P<n>{PLAIN})")
_SCORE = re.compile(
    r"\b(?:won|win|wins|lost|lose|beat|beats|lead|leads|led|score|scored|game|final|match|tied|tie|victory|set|defeat|defeated|draw"
    r"|series|record|up|down|ahead|loss)\b",
    re.IGNORECASE,
)
_EVENT = re.compile(
    r"\s(?:angle|turn|heat|weather|view|bend|rotation|arc|panorama|hurdles|dash|sprint|freestyle|race|relay|run|butterfly)\b"
)
_PLACE_BEFORE = re.compile(
    r"\b(?:track|gate|platform|seat|exit|row|room|bus|berth|stall|slot|lot|section|bay|pier|stop|grade|class|lane|aisle)\s$",
    re.IGNORECASE,
)
_ALWAYS_OPEN = re.compile(r"(?<![0-9A-Za-z.,:/\-])24-7(?![0-9A-Za-z:/\-]|[.,][0-9]|\s?=)")
_ARTICLE = re.compile(r"\b(?:an?|another|one|this|that|your|my|his|her|our)\s$", re.IGNORECASE)
_NOUN = re.compile(
    r"\s(?!(?:of|is|was|in|at|per|and|or|to|from|above|below|over|under|on|for|by|with|than|more|less|wide|tall|long|deep"
    r"|high|away|as|if|each|when|while|before|after|because|so|but|a|an|the|every|higher|lower|heavier|apart|off)\b)[a-z]{2}"
)
_SUM_BEHIND = re.compile(r"\s?[=+×÷*]")
_SUM_AHEAD = re.compile(r"[=+×÷*]\s?$")


def _address(match: re.Match[str]) -> str:
    said = " dot ".join(map(digits, match["ip"].split(".")))
    if match["port"]:
        return f"{said}, port {digits(match['port'])}"
    return f"{said} slash {cardinal(int(match['mask']))}" if match["mask"] else said


def _version(match: re.Match[str]) -> str:
    parts = (match["a"] or match["b"]).split(".")
    return ("version " if match["v"] else "") + " point ".join(decimal(part) for part in parts)


def _scientific(match: re.Match[str]) -> str:
    minus = "minus " if (match["sign"] or match["Sign"] or "+") in "-−" else ""
    return f"{decimal(match['n'])} times ten to the {minus}{cardinal(int(match['power']))}"


def _percents(match: re.Match[str]) -> str:
    return f"{decimal(match['a'])} percent to {decimal(match['b'])} percent"


def _ordinals(match: re.Match[str]) -> str:
    return f"{ordinal(int(match['a']))} to {ordinal(int(match['b']))}"


def _quantity(match: re.Match[str]) -> str | None:
    if match["unit"] in ("s", "h", "pt", "t", "g", "l", "m", "V", "W") and match["space"] == "-":
        return None  # not a unit, but part of a name: 3-D, 747-s
    if match["unit"] in ("W", "V", "L", "g", "h", "m") and not match["space"] and _PLACE_BEFORE.search(before(match)):
        return None  # track 12W
    one = match["n"] == "1" or match["space"] == "-" or _is_adjective(match)  # a five kilometer run
    minus = "minus " if match["minus"] else ""
    return f"{minus}{decimal(match['n'])} {unit.english(match['unit'], one=one)}{_stop(match)}"


def _is_adjective(match: re.Match[str]) -> bool:
    named = _EVENT.match(after(match)) is not None and match["unit"] in ("°", "m", "mile")
    return named or bool(_ARTICLE.search(before(match, 10)) and _NOUN.match(after(match)))


def _stop(match: re.Match[str]) -> str:
    return "." if match["end"] and not match.string[match.end() :][:2].strip() else ""


def _mark(match: re.Match[str]) -> str:
    """Return the unit that the mark after a range means, or the mark itself if it closes a quotation."""
    mark = match["mark"]
    if mark in "\"'" and is_closing_quote(match, mark):
        return mark
    return " inches" if mark in '"″' else " feet"


def _range(match: re.Match[str]) -> str | None:
    """Read a range, a score or a difference: 3-5 kg, 21–14, 8 - 6 = 2."""
    first, second, dash = match["a"], match["b"], match["dash"]
    if first[0] == "0" and first[1:2] not in ("", ".") or (match["minus"] and not match["unit"] and " " in dash):
        return None
    falls = float(first) >= float(second.replace(",", ""))
    sum_is_near = _SUM_BEHIND.match(after(match)) or _SUM_AHEAD.search(before(match)) or is_formula(match)
    if sum_is_near and (falls or "=" in match.string[match.end() : match.end() + 8] or " " in dash):
        return None
    if "−" in dash or (falls and dash == " - " and not _SCORE.search(before(match, 80))):
        return None
    tail = f" {unit.english(match['unit'], one=match['space'] == '-')}{_stop(match)}" if match["unit"] else ""
    if match["mark"]:
        tail += _mark(match)
    years = not tail and re.fullmatch(r"[12][0-9]{3} [12][0-9]{3}", f"{first} {second}")
    even = first == second in ("50", "20") and not match["unit"]  # a 50-50 chance
    between = " " if even else " and " if is_after_between(match) else " to "
    words = [year(int(part)) if years else decimal(part) for part in (first, second)]
    return f"{'minus ' if match['minus'] else ''}{words[0]}{between}{words[1]}{tail}"


def _always_open(match: re.Match[str]) -> str | None:
    return None if _SCORE.search(before(match, 80)) else "twenty-four seven"


def _ratio(match: re.Match[str]) -> str:
    between = " " if _VERSE.search(before(match)) else " to "
    return between.join(decimal(part) for part in match.group("a", "b", "c") if part)


def _scale(match: re.Match[str]) -> str | None:
    """Read 10k as ten thousand and 2.5M as two point five million; the K of 4K and of a 10K run stays a letter."""
    letter, number = match["letter"], match["n"]
    if letter in "kK" and _STAYS_K.match(after(match)):
        return f"{decimal(number)} K"
    if letter == "K" and number in ("2", "4", "5", "8"):
        return None
    plus = " plus" if match["plus"] else ""
    return f"{decimal(number)} {power(letter)}{plus}"


def _times_more(match: re.Match[str]) -> str:
    return f"{decimal(match['n'])} times"


def _hundreds(match: re.Match[str]) -> str:
    return {2: "hundreds", 3: "thousands", 6: "millions"}[match["zeros"].count("0")]


def _plan(match: re.Match[str]) -> str:
    """Read 401(k) as four oh one k, 501(c)(3) as five oh one c three."""
    number = match["n"]
    middle = "oh" if number[1] == "0" else digits(number[1])
    return f"{digits(number[0])} {middle} {digits(number[2])} {match['a'] or match['k'].lower()}" + (
        f" {digits(match['b'])}" if match["b"] else ""
    )


def _per(match: re.Match[str]) -> str | None:
    if not _NUMBER_NEAR.search(before(match, 24)):
        return None  # he/she
    name = _PER_NAMES.get(match["u"], match["u"])
    return f" {name}{stop(match)}" if name == "each" else f" per {name}{stop(match)}"


def _point(match: re.Match[str]) -> str:
    tail = f" {unit.english(match['unit'], one=match['space'] == '-')}{_stop(match)}" if match["unit"] else ""
    return f"{'minus ' if match['minus'] else ''}point {digits(match['n'])}{tail}"


def _ordinal(match: re.Match[str]) -> str:
    return ordinal(int(match["n"].replace(",", "")))


def _number(match: re.Match[str]) -> str:
    return ("minus " if match["minus"] else "") + decimal(match["n"])


def number(text: str) -> str | None:
    """Reads a text that is one number; None if it is not."""
    match = _NUMBER.fullmatch(text)
    return _number(match) if match else None


def nth(text: str) -> str | None:
    """Returns the ordinal: first for 1; None if the text is not a whole number."""
    return ordinal(int(text)) if text.isascii() and text.isdecimal() and len(text) <= LONGEST else None


FIRST_RULES = (
    Rule(_ADDRESS, _address, first="0"),
    Rule(_VERSION, _version, first="a0"),
    Rule(_SCIENTIFIC, _scientific, first="0"),
)
RULES = (
    Rule(_PLAN, _plan, first="0"),
    Rule(_PERCENTS, _percents, first="0"),
    Rule(_ORDINALS, _ordinals, first="0"),
    Rule(_RATIO, _ratio, first="0"),
    Rule(_ORDINAL, _ordinal, first="0"),
    Rule(_HUNDREDS, _hundreds, first="0"),
    Rule(_TIMES_MORE, _times_more, first="0"),
    Rule(_SCALE, _scale, first="0"),
    Rule(_ALWAYS_OPEN, _always_open, first="0"),
    Rule(_RANGE, _range, first="0."),
    Rule(_QUANTITY, _quantity, first="0."),
    Rule(_PER, _per, first="."),
    Rule(_DEGREES_OF, lambda match: "Fahrenheit" if match["scale"] == "F" else "Celsius", first="a"),
)
NUMBER_RULES = (Rule(_POINT, _point, first="."), Rule(_NUMBER, _number, first="0."))
"""Must come after all other rules for numbers."""
