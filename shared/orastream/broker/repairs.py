"""Counters of faults on a connection that were repaired."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Repairs:
    """Counts since the start of the connection object, all reconnects included."""

    backfilled: int = 0
    """Messages that feeds read from their stream because their live copy was lost or late."""
    resent: int = 0
    """Messages published again because no ack came in time."""
    discarded: int = 0
    """Stored messages that were deleted because their subject allows no report."""
    protocol_errors: int = 0
    """Connections that were closed because they received bytes that no NATS server sends."""
