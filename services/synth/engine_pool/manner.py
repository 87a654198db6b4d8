"""How an engine process is to speak a sentence: fields of a `speak` command."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Manner(TypedDict):
    """How to speak a sentence: arguments of `Engine.synthesize`, and those that the worker handles."""

    voice: str | None
    language: str
    speed: NotRequired[float]
    rtf: NotRequired[float | None]
    """Slow the engine down to this real-time factor."""
    skip_bytes: NotRequired[int]
    """Bytes at the start that an earlier attempt stored: they are not slowed down, and not sent."""
    keep_skipped: NotRequired[bool]
    """Send the skipped bytes, too."""


USUAL = {"speed": 1.0, "rtf": None, "skip_bytes": 0, "keep_skipped": False}
"""The values of fields that are left out."""
