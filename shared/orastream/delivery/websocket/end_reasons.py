"""Why a WebSocket could not be opened, or why it has ended, in words for logs and reports. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream import tls
from orastream.base.foreign_text import cleaned
from orastream.delivery.sink import LinkLost
from orastream.tls import ClientTls, TlsPeer

NO_CODE = 1005
"""Stands for a close frame without a code (RFC 6455, 7.4.1)."""

MAX_CLOSE_REASON_BYTES = 123


@dataclass(frozen=True, slots=True)
class EndReasons:
    """The reasons for one address of OraServer. `secure`: it is `wss://`."""

    host: str
    port: int
    secure: bool
    client_tls: ClientTls

    @property
    def _peer(self) -> TlsPeer:
        return self.client_tls.files.peer(f"OraServer at {self.host}:{self.port}", "ORASERVER_WEBSOCKET_URL")

    def unconnected(self, exc: OSError | ValueError) -> LinkLost:
        """Return why there is no connection. ValueError: the name of the host cannot be looked up."""
        if not isinstance(exc, OSError):  # a certificate error is both; the text of any other has the address
            return LinkLost(f"ORASERVER_WEBSOCKET_URL cannot be used ({type(exc).__name__})")
        if self.secure and (explained := tls.explain(str(exc), self._peer)) is not None:
            return LinkLost(explained, about_tls=True)
        if self.secure and tls.ended_by_peer(exc):
            return LinkLost(tls.closed_early(self._peer), about_tls=True)
        return LinkLost(f"cannot connect to {self.host}:{self.port} ({exc.strerror or exc})")

    def before_handshake(self, exc: Exception | None) -> LinkLost | None:
        """Return what the end of a connection before the handshake of WebSocket says about TLS; None without TLS."""
        if not self.secure:
            return None
        return LinkLost(tls.explain(str(exc), self._peer) or tls.closed_early(self._peer), about_tls=True)


def handshake_invalid(problem: Exception) -> str:
    """Return why an answer with status 101 does not open a WebSocket."""
    return f"the handshake is not WebSocket's ({cleaned(str(problem))})"


def closed(code: int, reason: str) -> str:
    """Return why OraServer has closed the WebSocket, from its close frame."""
    shown = "none" if code == NO_CODE else str(code)
    return f"closed by OraServer (code {shown}{', ' + cleaned(reason) if reason else ''})"


def in_close_frame(reason: str) -> str:
    """Return as much of a reason as a close frame takes: 123 bytes of UTF-8 (RFC 6455, 5.5)."""
    return reason.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore")


def broken(exc: Exception | None) -> str:
    """Return why the bridge has closed the WebSocket: OraServer broke the protocol."""
    return f"OraServer's frames are not WebSocket's ({cleaned(str(exc))})"
