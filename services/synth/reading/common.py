"""Expressions and tables that the rules of both languages use."""

from __future__ import annotations

import re

PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++(?!\.[0-9]))?"
"""A number with or without commas and a point. Possessive repeats (++) keep the time linear in its digits."""

HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
"""A part between the dots of a host name."""

ADDRESS_PART = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]")
"""A part of an address that is said by itself: letters, digits or one sign."""

NETWORK_CARD = re.compile(
    r"(?<![0-9A-Za-z:\-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![0-9A-Za-z:\-])"
)
"""The address of a network card (MAC): 00:1A:2B:3C:4D:5E."""

RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ", "-0123456789n")
"""Raised characters of a power → usual ones, for `str.translate`."""

_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman_value(numeral: str) -> int:
    """Returns the value of a Roman numeral in capitals: 14 for XIV. Does not examine whether it is well formed."""
    values = [_ROMAN_DIGITS[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
