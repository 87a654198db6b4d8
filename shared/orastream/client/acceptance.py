"""What the node answers at once to a request that it has stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.contract.codec import Map


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The node has stored the request durably; `request_seq` is its place in the order of everything asked."""

    request_id: str
    session_id: str
    request_seq: int
    duplicate: bool = False
    """The same request had been stored before; it is not spoken twice."""
    status: Literal["queued"] = "queued"

    def to_map(self) -> Map:
        """As `tts.speak` and the gateway answer it."""
        return {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "requestSeq": self.request_seq,
            "status": self.status,
        }
