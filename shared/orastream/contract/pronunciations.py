"""The field `pronunciations` of a request: how to say words, by the word as it is written. Pure.

The same limits count for the words of a node's lexicon (`TTS_LEXICON`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import BeforeValidator

MAX_PRONUNCIATIONS = 200
"""Words of one request."""
MAX_WORD_CHARS = 100
MAX_READING_CHARS = 200

UNFIT = "[\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff\\ufdd0-\\ufdef]"
"""Characters that neither a word nor a reading may have: control characters, surrogates, noncharacters."""
PHONEMES = re.compile(r"\[\[(?P<phonemes>(?:(?!\[\[)[ -\\^-~]){1,100})\]\]")
"""A reading that is phonemes of the engine, in place of words: `[[f@n'i:m]]`."""

_UNFIT = re.compile(UNFIT)
_SHOWN_CHARS = 30


def word_problem(word: str) -> str | None:
    """Returns why a text cannot be a word with a reading, and what to write; None if it can."""
    if not word.strip():
        return "the word is empty; write it as it stands in texts"
    if len(word) > MAX_WORD_CHARS:
        return f"the word has {len(word)} characters, at most {MAX_WORD_CHARS} are taken; write a shorter part of it"
    if _UNFIT.search(word):
        return "the word has a control character; write it as it stands in texts, in one line"
    return None


def reading_problem(reading: str) -> str | None:
    """Returns why a text cannot be a reading, and what to write; None if it can."""
    if not reading.strip():
        return 'the reading is empty; write the words to be said, such as "에스큐엘"'
    if len(reading) > MAX_READING_CHARS:
        return f"the reading has {len(reading)} characters, at most {MAX_READING_CHARS} are taken; shorten it"
    if _UNFIT.search(reading):
        return "the reading has a control character; write the words to be said in one line"
    if "[[" in reading or "]]" in reading:
        if PHONEMES.fullmatch(reading.strip()) is None:
            return "phonemes stand alone: 1 to 100 characters of ASCII between [[ and ]]; or write the words to be said"
    elif not any(char.isalnum() for char in reading):
        return "the reading has nothing to say; write at least one letter"
    return None


def shown(word: str) -> str:
    """Returns a word for an error message: in one line, shortened."""
    plain = _UNFIT.sub("�", word)
    return plain if len(plain) <= _SHOWN_CHARS else f"{plain[:_SHOWN_CHARS]}…"


def _checked(value: Any) -> Any:
    """Returns the words with their readings, without white space at the ends. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("has the wrong type: must be an object of words and their readings")
    if len(value) > MAX_PRONUNCIATIONS:
        raise ValueError(f"has {len(value)} words, at most {MAX_PRONUNCIATIONS} are taken; put the rest in TTS_LEXICON")
    found: dict[str, str] = {}
    for word, reading in value.items():
        if not isinstance(word, str):
            raise ValueError("has the wrong type: each word must be a string")
        name = shown(word) or "(empty)"
        if not isinstance(reading, str):
            raise ValueError(f"{name}: the reading has the wrong type: must be a string")
        problem = word_problem(word) or reading_problem(reading)
        if problem is not None:
            raise ValueError(f"{name}: {problem}")
        written = unicodedata.normalize("NFC", word.strip())
        if written in found:
            raise ValueError(f"{name}: the word is given twice, with white space or in another normal form; keep one")
        found[written] = unicodedata.normalize("NFC", reading.strip())
    return found


Pronunciations = Annotated[dict[str, str], BeforeValidator(_checked)]
"""The type of the field: word → reading."""
