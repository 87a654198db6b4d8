"""Amounts of money with the currency first, in Korean: ₩12,000, $3.50, €1.2M, USD 100."""

from __future__ import annotations

import re
from decimal import Decimal

from services.synth.reading.korean.attached import form_after
from services.synth.reading.korean.numeral import decimal, sino
from services.synth.reading.rule import Rule

CURRENCIES = {
    "₩": "원", "$": "달러", "US$": "달러", "€": "유로", "£": "파운드", "¥": "엔", "KRW": "원", "USD": "달러",
    "EUR": "유로", "GBP": "파운드", "JPY": "엔", "CNY": "위안",
}  # fmt: skip
"""Sign or code → name of the currency."""
_CENTS = {"달러": "센트", "유로": "센트", "파운드": "펜스"}
_POWERS = {"K": 3, "k": 3, "M": 6, "B": 9, "T": 12}
_SIGN = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=lambda sign: (-len(sign), sign)))
_AMOUNT = re.compile(
    rf"(?<![A-Za-z0-9])(?P<minus>[-−])?(?P<sign>{_SIGN})\s?"
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,20})(?:\.[0-9]{1,20})?)(?![0-9])"
    r"(?P<power>[KkMBT](?![A-Za-z0-9]))?(?P<scale>\s?[십백천만억조]{1,4})?"
)
_NAME = "|".join(sorted(set(CURRENCIES.values()), key=lambda name: (-len(name), name)))
_TWICE = re.compile(rf"{_AMOUNT.pattern}\s?(?P<again>{_NAME})(?!래|형|룸|리|력)")  # ₩5,000원; but $5 달력
_CODE_BEHIND = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]{1,20})(?:\.[0-9]{1,20})?)\s?(?P<code>KRW|USD|EUR|GBP|JPY|CNY)(?![A-Za-z0-9])"
    r"(?:(?P<particle>[을를은는이가과와])(?![가-힣]))?"
)


def _twice(match: re.Match[str]) -> str | None:
    """Read an amount whose currency is written twice, once."""
    return _amount(match) if match["again"] == CURRENCIES[match["sign"]] else None


def _code_behind(match: re.Match[str]) -> str:
    name = CURRENCIES[match["code"]]
    return f"{decimal(match['number'])} {name}{form_after(name, match['particle'] or '')}"


def _amount(match: re.Match[str]) -> str:
    name = CURRENCIES[match["sign"]]
    said = "마이너스 " if match["minus"] else ""
    number = match["number"]
    if match["power"]:
        value = Decimal(number.replace(",", "")).scaleb(_POWERS[match["power"]])
        number = f"{value:f}"
        if "." in number:
            number = number.rstrip("0").rstrip(".")
    if match["scale"]:
        return f"{said}{decimal(number)}{match['scale'].strip()} {name}"
    whole, _, fraction = number.partition(".")
    if name in _CENTS and len(fraction) == 2 and not match["power"]:
        dollars, cents = int(whole.replace(",", "")), int(fraction)
        parts = [f"{sino(dollars)} {name}"] if dollars or not cents else []
        return said + " ".join([*parts, *([f"{sino(cents)} {_CENTS[name]}"] if cents else [])])
    return f"{said}{decimal(number)} {name}"


RULES = (Rule(_TWICE, _twice), Rule(_AMOUNT, _amount), Rule(_CODE_BEHIND, _code_behind))
