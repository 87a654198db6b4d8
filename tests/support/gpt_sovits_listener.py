"""Who is spoken to by the GPT-SoVITS server of the tests: what was asked for, and whether somebody still listens."""

from __future__ import annotations

import select
import socket
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """One `POST /tts`."""

    fields: dict[str, Any]
    gpt_weights: str | None
    sovits_weights: str | None
    left_after_s: float | None = None
    """When the caller had closed the connection before the answer's end: after how long."""
    done: threading.Event = field(default_factory=threading.Event)


def gone(connection: socket.socket) -> bool:
    """Whether the other side has closed it."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
