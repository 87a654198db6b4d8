"""Romanises Hangul as uroman does, on whose output MMS models of Korean were trained. Pure.

uroman uses the Unicode names of the syllables (각 is HANGUL SYLLABLE GAG), except for ㅙ, which it writes "wai", not
"wae". It converts each syllable alone, without assimilation of sounds; the model has learnt that.
"""

from __future__ import annotations

import re
import unicodedata

_SYLLABLE = re.compile("[가-힣]")
_NAMED = "HANGUL SYLLABLE "


def romanised(text: str) -> str:
    """Returns the text with each Hangul syllable romanised; everything else is unchanged.

    Decomposed syllables are composed first. Single letters (ㅋㅋ) are not syllables and are unchanged.
    """
    return _SYLLABLE.sub(_latin, unicodedata.normalize("NFC", text))


def _latin(syllable: re.Match[str]) -> str:
    return unicodedata.name(syllable[0]).removeprefix(_NAMED).lower().replace("wae", "wai")
