"""What went wrong on a connection, and was put right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Repairs:
    """What had to be done twice on a connection, or thrown away, since its start."""

    backfilled: int = 0
    """Messages that feeds read from their stream although the live way was up: lost or late ones."""
    resent: int = 0
    """Messages published again because no ack had come in time."""
    discarded: int = 0
    """Stored messages that were deleted here, as nobody can answer under their subject."""
    protocol_errors: int = 0
    """Connections that were given up because of bytes that no NATS server sends."""
