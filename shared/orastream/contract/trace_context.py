"""W3C trace context in the headers of NATS messages and HTTP requests, and a substitute for messages without one.

Pure. Needs no OpenTelemetry.

Source: W3C Trace Context, 2.2 (traceparent) and 3.3 (tracestate).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Carrier = Mapping[str, str]
"""`traceparent` and, if present, `tracestate`; empty without a trace context."""

NOTHING: Carrier = MappingProxyType({})
MAX_STATE_CHARS = 512
MAX_BYTES = 700
"""Limit for the bytes of a carrier in the headers of a message."""

_PARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[!-~]{0,64})?"
)
_STATE = re.compile(rf"[ -~]{{1,{MAX_STATE_CHARS}}}")


def carrier_of(header: Callable[[str], str | None]) -> Carrier:
    """Return the trace context in headers, or NOTHING if there is no valid one. `header` returns a header by name.

    Leaves out a `tracestate` that is too long or not ASCII. Tries the names in lower case (W3C) and as Go writes them.
    """
    parent = (header("traceparent") or header("Traceparent") or "").strip()
    match = _PARENT.fullmatch(parent)
    if match is None or (match["version"] == "00" and match["more"] is not None):
        return NOTHING
    state = (header("tracestate") or header("Tracestate") or "").strip()
    return {"traceparent": parent, "tracestate": state} if _STATE.fullmatch(state) else {"traceparent": parent}


@dataclass(frozen=True, slots=True)
class Origin:
    """The start of a trace that no publisher began: its spans are roots with the same trace id."""

    trace_id: int
    """128 bits, evenly distributed, so that a sampler that uses the trace id keeps the configured share."""


def origin_of(stream: str, sequence: int, stored_at_ns: int) -> Origin:
    """Return the trace of a stored message without trace context: the same one in every process.

    `stored_at_ns` distinguishes it from a message with the same sequence of a stream that was deleted and recreated.
    """
    digest = hashlib.sha256(f"{stream} {sequence} {stored_at_ns}".encode()).digest()
    return Origin(int.from_bytes(digest[:16], "big") or 1)  # 0 is not a valid trace id
