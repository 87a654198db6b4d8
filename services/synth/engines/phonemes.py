"""Phonemes in a sentence: their marks on the way to an engine, so that no text of a request is taken for them.

Only a reading of the lexicon, or of the request's `pronunciations`, may be phonemes. Synth marks them with two
noncharacters of Unicode, and `reading.lexicon` removes these from all other text. A mark is as long as the brackets of
eSpeak, so the places of words in the sentence stay. Pure.
"""

from __future__ import annotations

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Two of OPEN stand for `[[`, two of CLOSE for `]]`."""
ENGINES = frozenset({"espeak"})
"""The engines, as in TTS_ENGINE, that take phonemes."""

_BRACKETS = {ord(OPEN): "[", ord(CLOSE): "]"}


def said_by(engine: str, reading: str) -> str | None:
    """Returns what the engine gets for a reading: phonemes in `[[ ]]` marked, all other readings unchanged.

    None: the engine takes no phonemes, so that it must say the word in another way.
    """
    if not reading.startswith("[["):
        return reading
    if engine not in ENGINES:
        return None
    return f"{OPEN * 2}{reading.removeprefix('[[').removesuffix(']]')}{CLOSE * 2}"


def has_phonemes(sentence: str) -> bool:
    """Whether the sentence has marked phonemes."""
    return OPEN in sentence


def in_brackets(sentence: str) -> str:
    """Returns a sentence that has phonemes with eSpeak's brackets around them. Each character keeps its place.

    Other text must not become phonemes: a space takes the place of the second one of two brackets there.
    """
    plain = sentence.replace("[[", "[ ").replace(f"[{OPEN}", f" {OPEN}")
    return plain.translate(_BRACKETS)
