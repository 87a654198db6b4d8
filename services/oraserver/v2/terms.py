"""What the reference OraServer offers a bridge over protocol v2, and which subprotocol it selects. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.contract.audio import FORMATS
from orastream.contract.oraserver.from_server import ServerHello

SUBPROTOCOL = "orastream.v2"
VERSION = 2

ProtocolChoice = Literal["auto", "v1", "refuse", "first"]
"""`auto`: v2 if it is offered. `v1`: never. `refuse`: answer any offer with 400. `first`: the first one offered."""


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """The values of `hello`, and how to choose the protocol."""

    protocol: ProtocolChoice = "auto"
    credit: int = 262_144
    streams: int = 1_000
    formats: tuple[str, ...] = FORMATS
    keep_s: float = 600.0
    crc: bool = False
    played: bool = False
    fsync: bool = False
    """Whether what is stored survives the end of the machine, too."""

    @property
    def hello(self) -> ServerHello:
        """The first frame."""
        keep_ms = round(self.keep_s * 1000)
        return ServerHello(VERSION, self.credit, self.streams, self.formats, keep_ms, self.crc, self.played)

    def refuses(self, offered: list[str]) -> bool:
        """Whether a handshake that offers these subprotocols is refused."""
        return self.protocol == "refuse" and bool(offered)

    def selected(self, offered: list[str]) -> str | None:
        """The subprotocol to select; None to select none."""
        if self.protocol == "first":
            return offered[0] if offered else None
        return SUBPROTOCOL if self.protocol == "auto" and SUBPROTOCOL in offered else None


def offers(header: str) -> list[str]:
    """The subprotocols of a `Sec-WebSocket-Protocol` header, in order."""
    return [name.strip() for name in header.split(",") if name.strip()]
