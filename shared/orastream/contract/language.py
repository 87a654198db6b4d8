"""Guess the language of a text. Pure."""

from __future__ import annotations


def language_of(text: str) -> str:
    """Return a BCP 47 tag: `ko-KR` for a text with Hangul, `en-US` for any other."""
    return "ko-KR" if any("\uac00" <= ch <= "\ud7a3" or "\u1100" <= ch <= "\u11ff" for ch in text) else "en-US"
