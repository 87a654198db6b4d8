"""Which language a text is in, when nobody says. Pure."""

from __future__ import annotations


def language_of(text: str) -> str:
    """BCP 47: Korean for a text with Hangul, English for any other; what the node's users most likely mean."""
    return "ko-KR" if any("\uac00" <= ch <= "\ud7a3" or "\u1100" <= ch <= "\u11ff" for ch in text) else "en-US"
