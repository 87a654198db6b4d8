"""Hangul in Latin letters, as uroman writes it: what MMS models of Korean were trained on. Pure.

uroman goes by the names of the syllables in Unicode (각 is HANGUL SYLLABLE GAG), but for ㅙ, which it writes "wai", not
"wae". It looks at one syllable at a time: sounds are not assimilated; that the model has learnt.
"""

from __future__ import annotations

import re
import unicodedata

_SYLLABLE = re.compile("[가-힣]")
_NAMED = "HANGUL SYLLABLE "


def romanised(text: str) -> str:
    """The text with each syllable of Hangul written out; whatever else stands in it stays.

    Decomposed syllables are composed first; single letters (ㅋㅋ) are no syllables, and stay.
    """
    return _SYLLABLE.sub(_latin, unicodedata.normalize("NFC", text))


def _latin(syllable: re.Match[str]) -> str:
    return unicodedata.name(syllable[0]).removeprefix(_NAMED).lower().replace("wae", "wai")
