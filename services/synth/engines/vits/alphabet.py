"""A sentence in the letters that a model knows. Pure.

A VITS model has an embedding for each character of its vocabulary and for nothing else. Numbers are written out before
an engine is asked; what is still unknown here is turned into what comes nearest, or left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from services.synth.engines.vits.hangul import romanised

_NEAREST = {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"}
_JOINS = frozenset("'’‘ʼ`\u00ad\u200b\u200c\u200d\u2060\ufeff")  # left out, they leave no gap


class Alphabet:
    """The letters of one model; `romanise` is for one that was trained on Korean as uroman writes it."""

    def __init__(self, letters: Iterable[str], *, romanise: bool) -> None:
        self._letters = frozenset(letter for letter in letters if len(letter) == 1)
        self._romanise = romanise

    @property
    def some(self) -> str:
        """A dozen of the letters, to say something with."""
        return "".join(sorted(filter(str.isalpha, self._letters))[:12])

    def spelled(self, sentence: str) -> str:
        """The sentence in letters of the model, one space between words; empty when there is nothing in it to say.

        An unknown character is lower-cased, then freed of its accents, then replaced by one that is written for it (a
        plain apostrophe for a curly one). If that is unknown, too, a letter or digit is left out, anything else ends a
        word.
        """
        text = romanised(sentence) if self._romanise else unicodedata.normalize("NFC", sentence)
        words = "".join(map(self._known, text)).split()
        return (" " if " " in self._letters else "").join(word for word in words if any(map(str.isalnum, word)))

    def _known(self, character: str) -> str:
        for candidate in (character, character.lower(), _plain(character), _NEAREST.get(character, "")):
            if candidate and all(letter in self._letters for letter in candidate):
                return candidate
        return "" if character.isalnum() or character in _JOINS or unicodedata.combining(character) else " "


def _plain(character: str) -> str:
    """In lower case, compatibility forms made plain (Ａ, ﬁ), without accents."""
    decomposed = unicodedata.normalize("NFKD", character).lower()
    return "".join(part for part in decomposed if not unicodedata.combining(part))
