"""Which part of a server's error text may be quoted in a report or a log. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orastream.base.foreign_text import cleaned

_WORD = re.compile(r"[^\W_]{2,}")


def json_object(answer: bytes) -> Mapping[str, Any]:
    """Returns the JSON object in these bytes; empty if they are something else."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):  # RecursionError: it is nested too deeply
        return {}
    return said if isinstance(said, dict) else {}


def plain(value: object) -> str:
    """Returns a text in one short line without unsafe characters; empty if it is not a text."""
    return cleaned(value) if isinstance(value, str) else ""


def quotes(said: str, sentence: str) -> bool:
    """Whether the server's message contains a word of the sentence, also by chance."""
    words = set(_WORD.findall(sentence.lower()))
    return any(word in said.lower() for word in words)


def has_something_to_say(sentence: str) -> bool:
    """Whether the sentence has a letter or a digit, so that silence would mean a failure."""
    return any(c.isalnum() for c in sentence)
