"""Readings for SSML's `say-as` that differ from the usual one: characters, digits, dates by a format."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate, groupby

from services.synth.reading import english, korean, word_characters
from services.synth.reading.edited_text import EditedText
from services.synth.reading.english import date as english_date
from services.synth.reading.english import numeral as english_numeral
from services.synth.reading.english import quantity as english_quantity
from services.synth.reading.english import sign as english_sign
from services.synth.reading.korean import latin, numeral, quantity, sign

_DIGITS = re.compile(r"[0-9]+")
_CODE = re.compile(r"(?P<code>[A-Z]{3})\s?(?P<number>[0-9][0-9.,]*)|(?P<amount>[0-9][0-9.,]*)\s?(?P<after>[A-Z]{3})")
_CURRENCY_SIGNS = {"USD": "$", "KRW": "₩", "EUR": "€", "GBP": "£", "JPY": "¥"}


def say_as(text: str, kind: str, code: str, form: str) -> str | None:
    """Returns the reading; None if the kind is unknown or the text does not fit it. `code` is ko or en."""
    say = _KINDS.get(kind)
    return say(text, code, form) if say else None


def _characters(text: str, code: str, form: str) -> str:
    """Say each character alone: 에이 일 이, A one two."""
    named = _korean_character if code == "ko" else _english_character
    return " ".join(filter(None, map(named, text)))


def _korean_character(char: str) -> str:
    if char in "0123456789":
        return numeral.digits(char)
    return latin.letter(char) or (char if char.isalnum() else sign.named(char))


def _english_character(char: str) -> str:
    if char in "0123456789":
        return english_numeral.digits(char)
    return char.upper() if char.isalnum() else english_sign.named(char)


def _digits(text: str, code: str, form: str) -> str:
    """Say digits one by one, and read everything else as usual."""
    name = numeral.digits if code == "ko" else english_numeral.digits
    spelled = EditedText(_DIGITS.sub(lambda digits: f" {name(digits[0])} ", text))
    words = word_characters.in_words(spelled, code)
    return (korean.edited(words) if code == "ko" else english.edited(words)).text


def _telephone(text: str, code: str, form: str) -> str | None:
    groups = _DIGITS.findall(text)
    if not groups:
        return None
    plus = text.lstrip().startswith("+")
    if code == "ko":
        return ("플러스 " if plus else "") + " ".join(numeral.digits(group, "공") for group in groups)
    return ("plus " if plus else "") + ", ".join(map(english_numeral.digits, groups))


def _cardinal(text: str, code: str, form: str) -> str | None:
    if code == "ko":
        return quantity.cardinal(text)
    return english_quantity.number(text)


def _ordinal(text: str, code: str, form: str) -> str | None:
    return quantity.nth(text) if code == "ko" else english_quantity.nth(text)


def _date(text: str, code: str, form: str) -> str | None:
    """Say a date in the order of `form`: ymd, mdy, dmy, md, ym, y (yyyy-mm-dd is ymd); None if it does not fit."""
    order = "".join(letter for letter, _ in groupby(letter for letter in form if letter in "ymd"))
    numbers = _DIGITS.findall(text)
    if len(numbers) == 1 < len(order):  # 20240503
        sizes = [4 if letter == "y" else 2 for letter in order]
        if numbers == [text] and len(text) == sum(sizes):
            ends = list(accumulate(sizes))
            numbers = [text[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    if not order or len(order) != len(set(order)) or len(order) != len(numbers) or max(map(len, numbers)) > 4:
        return None
    parts = {letter: int(number) for letter, number in zip(order, numbers, strict=True)}
    if not 1 <= parts.get("m", 1) <= 12 or not 1 <= parts.get("d", 1) <= 31:
        return None
    return _korean_date(parts) if code == "ko" else english_date.date(parts.get("y"), parts.get("m"), parts.get("d"))


def _korean_date(parts: dict[str, int]) -> str:
    said = [f"{numeral.sino(parts['y'])} 년"] if "y" in parts else []
    if "m" in parts:
        said.append(numeral.month(parts["m"]))
    if "d" in parts:
        said.append(f"{numeral.sino(parts['d'])} 일")
    return " ".join(said)


def _currency(text: str, code: str, form: str) -> str | None:
    """Say USD 3.50 and 3.50 USD like $3.50; None for other texts, which are read as usual."""
    match = _CODE.fullmatch(text)
    if match is None:
        return None
    symbol = _CURRENCY_SIGNS.get(match["code"] or match["after"])
    if symbol is None:
        return None
    amount = symbol + (match["number"] or match["amount"])
    return korean.read(amount) if code == "ko" else english.read(amount)


_KINDS: dict[str, Callable[[str, str, str], str | None]] = {
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "digits": _digits,
    "telephone": _telephone,
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "date": _date,
    "currency": _currency,
}
