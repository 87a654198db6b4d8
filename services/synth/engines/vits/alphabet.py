"""Spells a sentence with the letters that a model knows. Pure.

A VITS model has embeddings only for the characters of its vocabulary. Numbers are already words when an engine gets a
sentence. Other unknown characters are replaced by the nearest known one, or left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from services.synth.engines.composed import Composed
from services.synth.engines.vits.hangul import romanised

_NEAREST = {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"}
_JOINS = frozenset("'’‘ʼ`\u00ad\u200b\u200c\u200d\u2060\ufeff")  # if unknown, they are left out without a space


class SpelledWord(NamedTuple):
    """A word in letters of a model."""

    letters: str
    first: int
    """`sentence[first:end]` is what it was spelled from, in code points, without signs at its ends."""
    end: int


class Alphabet:
    """The letters of one model; `romanise` is for a model that was trained on Korean romanised by uroman."""

    def __init__(self, letters: Iterable[str], *, romanise: bool) -> None:
        self._letters = frozenset(letter for letter in letters if len(letter) == 1)
        self._romanise = romanise

    @property
    def some(self) -> str:
        """Up to 12 of the letters, as a text for the warm-up."""
        return "".join(sorted(filter(str.isalpha, self._letters))[:12])

    @property
    def between(self) -> str:
        """What stands between two words: a space, or nothing if the model does not know it."""
        return " " if " " in self._letters else ""

    def spelled(self, sentence: str) -> str:
        """Returns the sentence in letters of the model, with `between` between words; empty if there is no word."""
        return self.between.join(word.letters for word in self.words(sentence))

    def words(self, sentence: str) -> list[SpelledWord]:
        """Returns the words of the sentence, those without a letter or digit left out.

        For an unknown character, these are tried: its lower case, without accents, a common replacement (a plain
        apostrophe for a curly one). If none is known, a letter or digit is left out, and any other character becomes a
        space.
        """
        composed = Composed(sentence)
        words: list[SpelledWord] = []
        letters, heard = "", list[int]()  # `heard`: the places of its letters and digits
        for at, character in enumerate(f"{composed.text} "):
            for letter in "".join(map(self._known, romanised(character) if self._romanise else character)):
                if letter.isspace():
                    if heard:
                        words.append(SpelledWord(letters, *composed.place(heard[0], heard[-1] + 1)))
                    letters, heard = "", []
                else:
                    letters += letter
                    heard += [at] if letter.isalnum() else []
        return words

    def _known(self, character: str) -> str:
        for candidate in (character, character.lower(), _plain(character), _NEAREST.get(character, "")):
            if candidate and all(letter in self._letters for letter in candidate):
                return candidate
        return "" if character.isalnum() or character in _JOINS or unicodedata.combining(character) else " "


def _plain(character: str) -> str:
    """Returns it in lower case, without accents, and with compatibility forms (Ａ, ﬁ) decomposed."""
    decomposed = unicodedata.normalize("NFKD", character).lower()
    return "".join(part for part in decomposed if not unicodedata.combining(part))
