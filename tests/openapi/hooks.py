"""Loaded by schemathesis: what JSON Schema cannot say of a request is made true of those that are right otherwise.

What is wrong by the document stays wrong.
"""

from __future__ import annotations

from typing import Any

import schemathesis

from orastream.contract.audio import RATES_HZ
from orastream.contract.pronunciations import MAX_READING_CHARS, MAX_WORD_CHARS
from orastream.contract.subjects import MAX_ID_BYTES


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A text has a letter or a digit, an id at most 256 bytes, and some formats have their own rates."""
    if not isinstance(case.body, dict):
        return
    body = {name: _judged(name, value) for name, value in case.body.items()}
    if isinstance(body.get("pronunciations"), dict):
        said = enumerate(body["pronunciations"].items())
        body["pronunciations"] = dict(_sayable(number, word, reading) for number, (word, reading) in said)
    if "input" in body:
        body = {name: _there(name, value) for name, value in body.items()}
    if body.get("ssml") is True and isinstance(body.get("text"), str) and body["text"]:
        body["text"] = "<speak>a</speak>"
    rates = RATES_HZ.get(body.get("format", "")) if isinstance(body.get("format"), str) else None
    rate = body.get("sampleRate")
    if rates and isinstance(rate, int | float) and not isinstance(rate, bool) and rates[0] <= rate <= rates[-1]:
        body["sampleRate"] = min(rates, key=lambda own: abs(own - rate))
    case.body = body


def _sayable(number: int, word: str, reading: Any) -> tuple[str, Any]:
    """Give a pair that is right by the document a word that no other pair has, and a reading with a letter."""
    right = isinstance(reading, str) and _is_line(word, MAX_WORD_CHARS) and _is_line(reading, MAX_READING_CHARS)
    return (f"w{number}", "a") if right else (word, reading)


def _is_line(text: str, max_chars: int) -> bool:
    return 1 <= len(text) <= max_chars and not any(char < " " or "\x7f" <= char < "\xa0" for char in text)


NAMES = {"model": "tts-1", "voice": "alloy", "language": "ko-KR"}


def _there(name: str, value: Any) -> Any:
    """Replace a name of valid length with one that the engine has, because the engine answers requests for speech."""
    if name == "voice" and isinstance(value, dict) and "id" in value:
        return {**value, "id": _there(name, value["id"])}
    return NAMES[name] if name in NAMES and isinstance(value, str) and 1 <= len(value) <= 64 else value


def _judged(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    if name in ("text", "input") and not any(ch.isalnum() for ch in value):
        return value[:-1] + "a"
    if name in ("sessionId", "phoneId", "requestId") and len(value) <= MAX_ID_BYTES < len(value.encode()):
        return value[: MAX_ID_BYTES // 4]
    return value
