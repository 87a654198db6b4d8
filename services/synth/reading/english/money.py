"""Amounts of money in English: $3.50, $1.5M, $20–$30, US$5, USD 20, 99¢, $9.99/month."""

from __future__ import annotations

import re

from services.synth.reading.common import PLAIN
from services.synth.reading.english.context import after, before
from services.synth.reading.english.numeral import LONGEST, cardinal, decimal
from services.synth.reading.rule import Rule

_AMOUNT = rf"(?:{PLAIN}|\.[0-9]{{1,2}}(?![0-9]))"
_POWER = (
    r"(?:(?P<power{0}>MM|mm|[Bb]n|[Mm]n|tn|[KkMmBT])(?![A-Za-z0-9])"
    r"|\s(?P<word{0}>thousand|million|billion|trillion)\b)?"
)
_MONEY = re.compile(
    r"(?P<minus>[-−])?\s?(?P<land>(?<![A-Za-z0-9])(?:US|CA|AU|NZ|HK|C|A|S)(?=\$))?(?P<sign>[$€£¥₩₹])\s?(?P<negative>[-−](?=[0-9]))?"
    rf"(?P<n>{_AMOUNT}){_POWER.format('')}"
    rf"(?:\s?[-–—~]\s?(?P<sign2>[$€£¥₩₹])?(?P<n2>{_AMOUNT})(?![0-9\-]|,[0-9]){_POWER.format('2')})?"
)
_CODED = re.compile(
    rf"(?<![A-Za-z0-9])(?P<code>USD|EUR|GBP|JPY|KRW|CAD|AUD|CHF|INR|CNY|NZD|MXN)\s?(?P<n>{PLAIN}){_POWER.format('')}(?![A-Za-z0-9])"
)
_CODE_BEHIND = re.compile(
    rf"(?<![A-Za-z0-9.,$€£])(?P<n>{PLAIN}){_POWER.format('')}\s?(?P<code>USD|EUR|GBP|JPY|KRW|CAD|AUD|CHF|INR|CNY|NZD|MXN)(?![A-Za-z0-9])"
)
_CENTS = re.compile(rf"(?<![0-9.,])(?P<n>{PLAIN})(?:\s?[-–]\s?(?P<n2>{PLAIN}))?\s?¢")
_BEHIND = re.compile(rf"(?<![0-9.,])(?P<n>{PLAIN})\s?(?P<sign>[€£$])(?![0-9A-Za-z])")

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""), "₩": ("won", "won", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"), "CHF": ("Swiss franc", "Swiss francs", "", ""),
    "CNY": ("yuan", "yuan", "", ""), "MXN": ("Mexican peso", "Mexican pesos", "", ""),
}  # fmt: skip
_LANDS = {
    "US": "US", "C": "Canadian", "CA": "Canadian", "A": "Australian", "AU": "Australian", "NZ": "New Zealand",
    "HK": "Hong Kong", "S": "Singapore",
}  # fmt: skip
_CODES = {
    "USD": ("$", "US"), "CAD": ("$", "CA"), "AUD": ("$", "AU"), "NZD": ("$", "NZ"), "EUR": ("€", ""), "GBP": ("£", ""),
    "JPY": ("¥", ""), "KRW": ("₩", ""), "INR": ("₹", ""), "CHF": ("CHF", ""), "CNY": ("CNY", ""), "MXN": ("MXN", ""),
}  # fmt: skip
_POWERS = {"k": "thousand", "m": "million", "mm": "million", "mn": "million", "b": "billion", "bn": "billion",
           "t": "trillion", "tn": "trillion"}  # fmt: skip
_ARTICLE = re.compile(
    r"\b(?:a|an|another|one|per|each|every|the|this|that|my|your|his|her|their|our|full|flat|new)\s$", re.IGNORECASE
)
_NOUN = re.compile(
    r"[\s-](?:bills?|gift|fee|coupon|credit|discount|deposit|fine|check|tip|charge|refund|minimum|increase|raise|bonus"
    r"|reward|note|card|ticket|voucher|copay|co-pay|deductible|donation|loan|tax|limit|prize|rebate|hike|deal|investment"
    r"|grant|budget|house|home|company|lawsuit|settlement|contract|cover|bet|question|man|mortgage|fund|project|lunch"
    r"|menu|meal|coffee|burger|transfer|withdrawal|purchase|order)s?\b"
)


def power(letters: str) -> str:
    """Returns the word for k, M, B, bn; empty if it is none."""
    return _POWERS.get(letters.lower(), "")


def _said(number: str, scale: str, sign: str, land: str, *, adjective: bool = False) -> str:
    """Say an amount; as an adjective ("a $5 bill") in the singular."""
    one, many, small_one, small_many = _CURRENCIES[sign]
    plain = number.replace(",", "")
    whole, _, fraction = plain.partition(".")
    land = f"{land} " if land else ""
    if adjective and fraction == "00":
        plain, number, fraction = whole, number.partition(".")[0], ""
    if scale or not small_one or len(fraction) != 2 or len(whole) > LONGEST:
        name = one if (plain == "1" and not scale) or adjective else many
        amount = decimal(number) if whole else f"point {decimal(fraction)}"
        return f"{amount}{f' {scale}' if scale else ''} {land}{name}"
    large, small = int(whole or "0"), int(fraction)
    parts = [f"{cardinal(large)} {land}{one if large == 1 else many}"] if large or not small else []
    parts += [f"{cardinal(small)} {small_one if small == 1 else small_many}"] if small else []
    return " and ".join(parts)


def _scale(match: re.Match[str], side: str) -> str:
    return match[f"word{side}"] or power(match[f"power{side}"] or "")


def _money(match: re.Match[str]) -> str:
    minus = "minus " if match["minus"] or match["negative"] else ""
    land, scale = _LANDS.get(match["land"] or "", ""), _scale(match, "")
    if match["n2"] is None:
        adjective = (
            not land and _NOUN.match(after(match)) is not None and _ARTICLE.search(before(match, 12)) is not None
        )
        return minus + _said(match["n"], scale, match["sign"], land, adjective=adjective)
    scale2 = _scale(match, "2")
    last = _said(match["n2"], scale2, match["sign"], land)
    if "." in match["n"] and not (scale or scale2):
        return f"{minus}{_said(match['n'], '', match['sign'], land)} to {last}"
    first = decimal(match["n"]) if match["n"][0] != "." else _said(match["n"], "", match["sign"], land)
    return f"{minus}{first}{f' {scale}' if scale else ''} to {last}"


def _coded(match: re.Match[str]) -> str:
    sign, land = _CODES[match["code"]]
    return _said(match["n"], _scale(match, ""), sign, _LANDS.get(land, ""))


def _cents(match: re.Match[str]) -> str:
    first = f"{decimal(match['n'])} to " if match["n2"] else ""
    number = match["n2"] or match["n"]
    return f"{first}{decimal(number)} cent{'' if number == '1' and not first else 's'}"


def _behind(match: re.Match[str]) -> str:
    return _said(match["n"], "", match["sign"], "")


RULES = (
    Rule(_MONEY, _money, first="a."),
    Rule(_CODED, _coded, first="a"),
    Rule(_CODE_BEHIND, _coded, first="0"),
    Rule(_CENTS, _cents, first="0"),
    Rule(_BEHIND, _behind, first="0"),
)
