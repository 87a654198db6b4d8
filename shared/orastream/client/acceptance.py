"""The node's immediate answer to a request that it has stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.contract.codec import Map


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The node has stored the request durably; `request_seq` is its place in the order of all requests."""

    request_id: str
    session_id: str
    request_seq: int
    duplicate: bool = False
    """True if this process stored the same request within two minutes. It is not spoken twice, whoever stored it."""
    status: Literal["queued"] = "queued"

    def to_map(self) -> Map:
        """The fields that `tts.speak` and the gateway answer with."""
        return {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "requestSeq": self.request_seq,
            "status": self.status,
        }
