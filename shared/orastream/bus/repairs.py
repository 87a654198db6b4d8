"""What a connection has had to do twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Repairs:
    """What had to be done twice on a connection, since its start."""

    backfilled: int = 0
    """Messages that feeds read from their stream although the live way was up: lost or late ones."""
    resent: int = 0
    """Messages published again because no ack had come in time."""
