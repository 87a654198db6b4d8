"""Which part of a server's error text may be quoted in a report or a log. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from orastream.base.foreign_text import cleaned

SEE_LOG = "(see its log)"
"""Instead of a text that may not be quoted."""
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"([{_CJK}]{{2}})[{_CJK}]*|([^\W_{_CJK}]{{2,}})")
"""A word. Of one in Korean, Japanese or Chinese the first two characters: the rest may be an ending (비밀번호는)."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


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


def quotable(value: object, sentence: str, secret: str = "") -> str:
    """Returns what may be quoted of a server's text, in one short line.

    SEE_LOG if the text has a word of the sentence; empty for a text with the secret, and for anything but a text. The
    whole text is checked, before it is shortened: a word that is cut in two would not be found.
    """
    said = plain(value)
    if not isinstance(value, str) or not said or (secret and secret in value):
        return ""
    return SEE_LOG if quotes(value, sentence) else said


def quotes(said: str, sentence: str) -> bool:
    """Whether the server's message contains a word of the sentence, also by chance or as escapes of JSON."""
    compared = _comparable(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), said))
    words = {match[1] or match[2] for match in _WORD.finditer(_comparable(sentence))}
    return any(word in compared for word in words)


def _comparable(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def has_something_to_say(sentence: str) -> bool:
    """Whether the sentence has a letter or a digit, so that silence would mean a failure."""
    return any(c.isalnum() for c in sentence)
