"""What callers ask the gateway to read for them: a report, reports, audio, what was heard. Pure.

A caller in an account of its own has no JetStream of the node, so it asks on these subjects (`Names.report_get`,
`report_read`, `audio_read`, `heard_read`). A query is a JSON object, a msgpack map or empty. Its fields:

`after`        read what is stored above this sequence; default: audio from its beginning, else from now on
`waitSeconds`  how long to wait for what is not stored yet, 0 to 30; default 0

The answer to `tts.report.get` is one message: the report. The answer to a read is a page: one message for each stored
message, its payload unchanged, with the headers that a stream adds (`Nats-Subject`, `Nats-Sequence`, `Nats-Time-Stamp`,
`Nats-Last-Sequence`: the sequence of the message before it in this page, or `after`), then an empty message with NEXT:
ask with this `after` for the next page. After it, or after an error, comes an empty message without headers: with that
nats-server forgets where the answers of this question go. A page ends after MAX_PAGE_BYTES, when `waitSeconds` have
passed, or after what is stored, if that is not nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from orastream.contract import codec
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest

NEXT = "Orastream-Next"
"""Header of the empty message that ends a page: the `after` of the next page."""
ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"
"""Headers of an error answer, as nats.micro defines them."""
MAX_WAIT_S = 30.0
MAX_PAGE_BYTES = 1 << 20
_MAX_SEQUENCE = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A query of a caller. `after` None: the default of what is read."""

    after: int | None = None
    wait_s: float = 0.0

    def encode(self) -> bytes:
        """Encode the query as JSON."""
        fields: Map = {"waitSeconds": self.wait_s}
        return codec.encode(fields if self.after is None else fields | {"after": self.after}, "json")

    @classmethod
    def decode(cls, payload: bytes) -> ReadQuery:
        """Decode a query. Raises InvalidRequest, which names the field."""
        if not payload:
            return cls()
        value = codec.decode(payload)
        return cls(_sequence(value.get("after")), _seconds(value.get("waitSeconds", 0)))


def _sequence(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= _MAX_SEQUENCE:
        raise InvalidRequest("after", "must be a sequence: a whole number from 0 on; leave it out for the default")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidRequest("waitSeconds", f"must be a number from 0 to {MAX_WAIT_S:g}")
    if not 0 <= value <= MAX_WAIT_S:
        raise InvalidRequest("waitSeconds", f"must be 0 to {MAX_WAIT_S:g}; ask again for more")
    return float(value)
