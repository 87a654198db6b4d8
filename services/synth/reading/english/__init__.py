"""All English rules, in the order in which they are tried.

Everything except letters and punctuation becomes words, for engines that know only letters.
"""

from __future__ import annotations

import re

from services.synth.reading import silence, unit
from services.synth.reading.edited_text import EditedText
from services.synth.reading.english import (
    abbreviation,
    address,
    clock,
    code,
    date,
    formula,
    fraction,
    length,
    money,
    phone,
    place,
    quantity,
    roman,
    sign,
)
from services.synth.reading.rule import RuleIndex, apply

RULES = (
    sign.USUAL_WORD,
    *address.RULES,
    *sign.FIRST_RULES,
    *code.RULES,
    *phone.RULES,
    *code.LONG_RULES,
    *formula.FIRST_RULES,
    *clock.RULES,
    *date.RULES,
    *place.RULES,
    *money.RULES,
    *quantity.FIRST_RULES,
    *fraction.RULES,
    *length.RULES,
    *quantity.RULES,
    *date.YEAR_RULES,
    *quantity.NUMBER_RULES,
    *roman.RULES,
    *abbreviation.RULES,
    *formula.RULES,
    *sign.RULES,
    *silence.MARKUP,
    *silence.ORNAMENTS,
)
"""All rules, in the order in which they are tried."""
_INDEX = RuleIndex(RULES)
BEGINS = re.compile(r"[^\s.,!?;:\"()…]|\((?=[0-9]{3}\)|s\)|es\))|\.(?=[0-9A-Za-z]|\.?/)|!(?=\s?=)")
"""A character at which rules are tried. Marks of a sentence are not, except (415), file(s), .5, ./a and !=."""


def read(sentence: str) -> str:
    """Returns an English sentence (in NFC) in words."""
    return edited(EditedText(sentence)).text


def edited(sentence: EditedText) -> EditedText:
    """As `read`, with the places of the words."""
    return apply(_INDEX, BEGINS, unit.plain(sentence))
