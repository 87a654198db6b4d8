"""The line before a payload: a server ends the connection at one of more than 4096 bytes, so none is sent. Pure."""

from __future__ import annotations

from orastream.errors import PublishRefused

MOST_BYTES = 4000


def check(*words: str) -> None:
    """Raises PublishRefused for subjects, or a subject and a queue, that no server would take."""
    size = sum(len(word.encode()) for word in words)
    if size > MOST_BYTES:
        raise PublishRefused(f"{words[0][:40]}…", 0, f"its subjects have {size} bytes, at most {MOST_BYTES} fit")
