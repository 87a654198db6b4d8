"""The line before a payload: a server ends the connection at one of more than 4096 bytes, so none is sent. Pure."""

from __future__ import annotations

from orastream.contract.errors import PublishRefused

MAX_BYTES = 4000


def check(*words: str) -> None:
    """Raises PublishRefused for subjects, or a subject and a queue, that no server would take."""
    try:
        size = sum(len(word.encode()) for word in words)
    except UnicodeEncodeError:
        raise PublishRefused(ascii(words[0])[:80], 0, "its subjects are not UTF-8") from None
    if size > MAX_BYTES:
        raise PublishRefused(f"{words[0][:40]}…", 0, f"its subjects have {size} bytes, at most {MAX_BYTES} fit")


def answerable(reply: bytes) -> str:
    """The reply subject of a request, or "" when nothing can be published there. Whoever named it gets no answer."""
    try:
        return reply.decode() if len(reply) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        return ""
