"""The error of a bridge for which OraServer closes the connection."""

from __future__ import annotations

from services.oraserver.v2.stream import ReceivingStream
from services.oraserver.violations import StreamRule


class ProtocolBroken(Exception):
    """A bridge broke a rule after which the connection cannot go on: of `stream`, or of the connection."""

    def __init__(self, rule: StreamRule, detail: str, stream: ReceivingStream | None = None) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule: StreamRule = rule
        self.detail = detail
        self.stream = stream
