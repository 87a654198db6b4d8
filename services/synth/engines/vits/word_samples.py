"""When the words of a sentence are spoken, from how long the model speaks each letter. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.synth.engines.base import SpokenWord
from services.synth.engines.vits.alphabet import SpelledWord


def spoken_words(words: Sequence[SpelledWord], between: int, letters: Sequence[tuple[int, int]]) -> list[SpokenWord]:
    """Returns each word from the first sample of its first letter to the last one of its last letter.

    `letters` are the samples of each letter of the spelled sentence, in which `between` letters stand between two
    words; without them no word is returned. Nor is a word without a sample.
    """
    found: list[SpokenWord] = []
    at = 0
    for word in words if letters else ():
        begin, end = letters[at][0], letters[at + len(word.letters) - 1][1]
        if begin < end:
            found.append(SpokenWord(word.first, word.end, begin, end))
        at += len(word.letters) + between
    return found
