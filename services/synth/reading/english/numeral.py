"""English numerals in words: cardinal, ordinal, years, digits. American, without "and"."""

from __future__ import annotations

import re

from services.synth.reading.common import roman_value

LONGEST = 15
"""Maximum digits of a whole number that is read as a number; a longer one is read digit by digit."""

_SMALL = [
    *"zero one two three four five six seven eight nine".split(),
    *"ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
]
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_GROUPS = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def digits(number: str) -> str:
    """Returns the names of the digits, one by one."""
    return " ".join(_SMALL[int(digit)] for digit in number if digit in "0123456789")


def cardinal(number: int) -> str:
    """Returns the cardinal of a whole number from 0 with at most LONGEST digits."""
    groups = [
        f"{_below_thousand(group)} {name}".strip()
        for place, name in reversed(list(enumerate(_GROUPS)))
        if (group := number // 1000**place % 1000)
    ]
    return " ".join(groups) or "zero"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if rest:
        parts.append(_SMALL[rest] if rest < 20 else _TENS[rest // 10] + (f"-{_SMALL[rest % 10]}" if rest % 10 else ""))
    return " ".join(parts)


def ordinal(number: int) -> str:
    """Returns the ordinal: first, twenty-second, one hundredth."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    return words[:cut] + (_ORDINALS.get(last) or (f"{last[:-1]}ieth" if last[-1] == "y" else f"{last}th"))


def year(number: int) -> str:
    """Returns a year from 1000 to 9999: nineteen ninety-nine, two thousand five, twenty twenty-four."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def plural(words: str) -> str:
    """Returns the plural of a numeral: nineties, thirds, hundredths."""
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def decimal(number: str) -> str:
    """Reads a plain number, with or without commas and a point: 3.14 is three point one four, 007 zero zero seven."""
    whole, _, fraction = number.replace(",", "").partition(".")
    plain = len(whole) <= LONGEST and (whole == "0" or whole[0] != "0")
    said = cardinal(int(whole)) if plain else digits(whole)
    return f"{said} point {digits(fraction)}" if fraction else said


def in_pairs(number: str) -> str:
    """Reads the number of a house, a road or a form: 221 is two twenty-one, 1600 sixteen hundred, 405 four oh five.

    Numbers of five digits and more, and those that begin with a zero, are read digit by digit.
    """
    if number[0] == "0" or len(number) > 4:
        return digits(number)
    if len(number) == 4:
        century, rest = divmod(int(number), 100)
        if century in (10, 30, 40, 50, 60, 70, 80, 90) and 0 < rest < 10:
            return f"{cardinal(century)} oh {cardinal(rest)}"
        return year(int(number))
    hundreds, rest = divmod(int(number), 100)
    if not hundreds:
        return cardinal(rest)
    if not rest:
        return f"{cardinal(hundreds)} hundred"
    return f"{cardinal(hundreds)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


_ROMAN = re.compile(r"C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")


def roman(numeral: str) -> int | None:
    """Returns the value of a Roman numeral in capitals up to CCCXCIX; None if it is not one (IIII, VX, MIX)."""
    if not numeral or not _ROMAN.fullmatch(numeral):
        return None
    return roman_value(numeral)
