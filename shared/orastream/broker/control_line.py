"""Limit of the protocol line before a payload: a server closes the connection at one over 4096 bytes. Pure."""

from __future__ import annotations

from orastream.contract.errors import PublishRefused

MAX_BYTES = 4000


def check(*words: str) -> None:
    """Raise PublishRefused for subjects, or a subject and a queue, that no server accepts."""
    try:
        size = sum(len(word.encode()) for word in words)
    except UnicodeEncodeError:
        raise PublishRefused(ascii(words[0])[:80], 0, "its subjects are not UTF-8") from None
    if size > MAX_BYTES:
        raise PublishRefused(f"{words[0][:40]}…", 0, f"its subjects have {size} bytes; the limit is {MAX_BYTES}")


def answerable(reply: bytes) -> str:
    """Return the reply subject of a request, or "" if nothing can be published to it: that caller gets no answer."""
    try:
        return reply.decode() if len(reply) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        return ""
