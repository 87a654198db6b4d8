"""All Korean rules, in the order in which they are tried."""

from __future__ import annotations

import re

from services.synth.reading import silence, unit
from services.synth.reading.edited_text import EditedText
from services.synth.reading.korean import (
    address,
    clock,
    code,
    counter,
    date,
    doubled,
    each,
    formula,
    hanja,
    key,
    latin,
    money,
    names,
    pair,
    phone,
    place,
    quantity,
    sign,
)
from services.synth.reading.rule import apply, tidied

__all__ = ["by_rules", "counter", "edited", "read"]

RULES = (
    *sign.FIRST_RULES,
    *key.RULES,
    *address.RULES,
    *clock.FIRST_RULES,
    *code.RULES,
    *place.FIRST_RULES,
    *latin.WORD_RULES,
    *names.RULES,
    *date.RULES,
    *pair.FIRST_RULES,
    *phone.RULES,
    *clock.RULES,
    *money.RULES,
    *pair.RULES,
    *place.RULES,
    *each.RULES,
    *quantity.RULES,
    *sign.BETWEEN_RULES,
    *latin.RULES,
    *silence.MARKUP,
    *sign.RULES,
    *silence.ORNAMENTS,
)
_BEGINS = re.compile(r"[^가-힣.,!?…\n]|[제을를은는이가과와]|\.(?=\.?/?[A-Za-z0-9])")
"""A character at which rules are tried. Hangul and marks of a sentence are not, except particles, 제, and .NET."""
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")  # H₂O is read like H2O

_WORDS_ALONE = re.compile(r"[가-힣 .,!?…\n]*")
"""Most sentences of a conversation. No rule changes one, and to try them all takes as long as all other work on it."""


def read(sentence: str) -> str:
    """Returns a Korean sentence (in NFC) in words; Latin words are unchanged."""
    return edited(EditedText(sentence)).text


def edited(sentence: EditedText) -> EditedText:
    """As `read`, with the places of the words."""
    return tidied(sentence) if _WORDS_ALONE.fullmatch(sentence.text) else _by_rules(sentence)


def by_rules(sentence: str) -> str:
    """As `read`, for any sentence: tries all rules."""
    return _by_rules(EditedText(sentence)).text


def _by_rules(sentence: EditedText) -> EditedText:
    plain = unit.plain(hanja.in_hangul(sentence.respelled(sentence.text.translate(_LOWERED))))
    return apply(RULES, _BEGINS, formula.in_words(doubled.once(plain)))
