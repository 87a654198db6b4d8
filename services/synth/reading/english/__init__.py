"""All English rules, in the order in which they are tried.

Everything except letters and punctuation becomes words, for engines that know only letters.
"""

from __future__ import annotations

import re

from services.synth.reading import silence, unit
from services.synth.reading.edited_text import EditedText
from services.synth.reading.english import address, date, quantity, sign
from services.synth.reading.rule import apply

_RULES = (
    *address.RULES,
    *date.RULES,
    *quantity.RULES,
    *date.YEAR_RULES,
    *quantity.NUMBER_RULES,
    *sign.RULES,
    *silence.MARKUP,
    *silence.ORNAMENTS,
)
_BEGINS = re.compile(r"[^\s.,!?;:\"()…]")


def read(sentence: str) -> str:
    """Returns an English sentence (in NFC) in words."""
    return edited(EditedText(sentence)).text


def edited(sentence: EditedText) -> EditedText:
    """As `read`, with the places of the words."""
    return apply(_RULES, _BEGINS, unit.plain(sentence))
