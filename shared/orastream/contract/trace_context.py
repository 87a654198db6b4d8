"""W3C trace context as it stands in the headers of NATS messages and HTTP requests, and what takes its place where no
publisher gave one. Pure; needs no OpenTelemetry.

Source: W3C Trace Context, 2.2 (traceparent) and 3.3 (tracestate).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Carrier = Mapping[str, str]
"""`traceparent` and, if there is one, `tracestate`; or nothing."""

NOTHING: Carrier = MappingProxyType({})
MAX_STATE_CHARS = 512
MAX_BYTES = 700
"""What a carrier takes in the headers of a message, at most."""

_PARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[!-~]{0,64})?"
)
_STATE = re.compile(rf"[ -~]{{1,{MAX_STATE_CHARS}}}")


def carrier_of(header: Callable[[str], str | None]) -> Carrier:
    """The trace context in headers, given by name; nothing when there is none that is well formed.

    A `tracestate` that is too long or no ASCII is left out. Names are tried as W3C writes them and as Go does.
    """
    parent = (header("traceparent") or header("Traceparent") or "").strip()
    match = _PARENT.fullmatch(parent)
    if match is None or (match["version"] == "00" and match["more"] is not None):
        return NOTHING
    state = (header("tracestate") or header("Tracestate") or "").strip()
    return {"traceparent": parent, "tracestate": state} if _STATE.fullmatch(state) else {"traceparent": parent}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a trace begins with that no publisher began: its spans are roots, of one trace."""

    trace_id: int
    """128 bits, evenly spread, so that a sampler that goes by the trace id keeps the share it should."""


def origin_of(stream: str, sequence: int, stored_at_ns: int) -> Origin:
    """The trace of a stored message whose publisher gave none: whoever works on the message comes to the same one.

    The time tells it from a message of a stream that was deleted and made anew.
    """
    digest = hashlib.sha256(f"{stream} {sequence} {stored_at_ns}".encode()).digest()
    return Origin(int.from_bytes(digest[:16], "big") or 1)  # 0 is no trace id
