"""Requests to the GPT-SoVITS server of the tests, and a check whether the client is still connected."""

from __future__ import annotations

import select
import socket
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TtsCall:
    """One `POST /tts` that the server got."""

    fields: dict[str, Any]
    gpt_weights: str | None
    sovits_weights: str | None
    left_after_s: float | None = None
    """Seconds until the client closed the connection before the end of the response; None if it did not."""
    done: threading.Event = field(default_factory=threading.Event)


def gone(connection: socket.socket) -> bool:
    """Whether the client has closed the connection."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
