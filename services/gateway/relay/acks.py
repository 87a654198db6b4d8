"""Publish acks, as JetStream would answer the caller whose message the relay has taken. Pure."""

from __future__ import annotations

from orastream.contract import codec
from orastream.jetstream.answers import Ack

FULL = 10077
"""`err_code` of JetStream for a message that a limit keeps out: clients raise Overloaded."""
BUSY = 10008
"""`err_code` of JetStream for "temporarily unavailable": clients try again."""
INVALID = 10060
"""`err_code` of JetStream for a message that is never stored."""


def stored(stream: str, ack: Ack) -> bytes:
    """The ack of a message that is stored in `stream`."""
    fields = {"stream": stream, "seq": ack.sequence}
    return codec.encode(fields | {"duplicate": True} if ack.duplicate else fields, "json")


def refused(stream: str, err_code: int, description: str) -> bytes:
    """The ack of a message that was not stored in `stream`."""
    error = {"code": 503, "err_code": err_code, "description": description}
    return codec.encode({"stream": stream, "seq": 0, "error": error}, "json")
