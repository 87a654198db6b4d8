"""One WebSocket to OraServer: a thin asyncio protocol around the sans-I/O client of `websockets`.

Writes are synchronous, so that nothing comes between deciding and writing. The send buffers are small, so that little
is in flight when the user interrupts. Timers are our own: TCP and keepalive do not notice a peer that stopped reading.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the built extension
    from websockets.utils import apply_mask

from orastream.delivery.sink import LinkLost

HANDSHAKE_S = 5.0
STALLED_S = 10.0
PONG_S = 10.0
SEND_BUFFER_BYTES = 128 << 10
USER_BUFFER_BYTES = 256 << 10


def masked_text(payload: bytes) -> bytes:
    """A whole text frame of a client (RFC 6455, 5.2 and 5.3), masked with a fresh key.

    What `websockets` would build, in a third of its time: audio is all this connection sends.
    """
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
    key = os.urandom(4)
    return b"".join((head, key, apply_mask(payload, key)))


class Connection(asyncio.Protocol):
    """An open WebSocket. `lost` says why it is not open any more; after that writes do nothing."""

    def __init__(self, uri: str, headers: dict[str, str], wake: Callable[[], None]) -> None:
        self._uri = parse_uri(uri)
        self._protocol = ClientProtocol(self._uri, max_size=1 << 20)
        self._headers = headers
        self._wake = wake
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings: dict[bytes, asyncio.Future[None]] = {}
        self._ping_count = 0
        self._paused = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stall_size = 0
        self.lost: LinkLost | None = None

    @classmethod
    async def open(cls, uri: str, headers: dict[str, str], wake: Callable[[], None]) -> Connection:
        """Connect and shake hands within HANDSHAKE_S. Raises LinkLost; `refused` when answered by a 4xx."""
        connection = cls(uri, headers, wake)
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    connection._uri.host,
                    connection._uri.port,
                    ssl=ssl.create_default_context() if connection._uri.secure else None,
                )
                await connection._opened
        except TimeoutError:
            connection.abort(f"no WebSocket handshake within {HANDSHAKE_S:g} s")
        except OSError as exc:
            connection.abort(f"cannot connect to {connection._uri.host}:{connection._uri.port} ({exc.strerror or exc})")
        except BaseException:
            connection.abort("given up")
            raise
        if connection.lost is not None:
            raise connection.lost
        return connection

    # ---- what the link uses

    @property
    def room(self) -> bool:
        """Whether the socket takes more now; `wake` is called when this turns true again."""
        return not self._paused and self.lost is None

    @property
    def unsent_bytes(self) -> int:
        """Bytes that have not reached the kernel."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send_text(self, frame: bytes) -> None:
        """Write a text frame of UTF-8 now, without blocking."""
        if self.lost is None and self._transport is not None:
            self._transport.write(masked_text(frame))

    async def confirm(self) -> None:
        """Return when a ping sent after everything written was answered. Raises LinkLost (also after PONG_S)."""
        if self.lost is not None:
            raise self.lost
        self._ping_count += 1
        payload = b"%d" % self._ping_count
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings[payload] = answered
        self._protocol.send_ping(payload)
        self._flush()
        try:
            async with asyncio.timeout(PONG_S):
                await answered
        except TimeoutError:
            self.abort(f"a ping was not answered for {PONG_S:g} s")
        finally:
            self._pings.pop(payload, None)
        if self.lost is not None:
            raise self.lost

    async def close(self) -> None:
        """Say goodbye if that needs no waiting, and end it."""
        if self.lost is None and self._protocol.state is State.OPEN and not self._paused:
            self._protocol.send_close(1000)
            self._flush()
            if self._transport is not None:
                self._transport.close()
        self.abort("closed by this side")

    def abort(self, reason: str, *, refused: bool = False) -> None:
        """End it now; what has not reached the kernel is dropped."""
        if self.lost is not None:
            return
        self.lost = LinkLost(reason, refused=refused)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        self._cancel_stall_timer()
        if not self._opened.done():
            self._opened.set_result(None)
        for answered in self._pings.values():
            if not answered.done():
                answered.set_result(None)
        self._wake()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its type
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        transport.set_write_buffer_limits(high=USER_BUFFER_BYTES, low=0)
        request = self._protocol.connect()
        request.headers.update(self._headers)
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Feed the sans-I/O protocol and act on what it understood."""
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._on_response(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self._on_pong(bytes(event.data))
        if self._protocol.state in (State.CLOSING, State.CLOSED) and self.lost is None:
            code, reason = self._protocol.close_code, self._protocol.close_reason
            self.abort(f"closed by OraServer (code {code}{', ' + reason if reason else ''})")

    def eof_received(self) -> None:
        """The peer ended its side."""
        self._protocol.receive_eof()
        self.abort("the connection was ended by OraServer")

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self.abort(f"the connection broke ({getattr(exc, 'strerror', None) or exc or 'end of stream'})")

    def pause_writing(self) -> None:
        """The kernel takes no more now: from here the stall timer watches."""
        self._paused = True
        self._watch_progress()

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self._paused = False
        self._cancel_stall_timer()
        self._wake()

    # ---- inside

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)

    def _on_response(self, response: Response) -> None:
        error = self._protocol.handshake_exc
        if error is None:
            if not self._opened.done():
                self._opened.set_result(None)
            return
        status = response.status_code
        reason = f"the handshake was answered by HTTP {status}"
        if isinstance(error, InvalidHandshake) and not isinstance(error, InvalidStatus):
            reason = f"the handshake is not WebSocket's ({error})"
        self.abort(reason, refused=400 <= status < 500)

    def _on_pong(self, payload: bytes) -> None:
        # RFC 6455, 5.5.3: a pong answers its ping and, in order, every ping before it.
        if payload not in self._pings:
            return
        for known in list(self._pings):
            answered = self._pings.pop(known)
            if not answered.done():
                answered.set_result(None)
            if known == payload:
                return

    def _watch_progress(self) -> None:
        self._stall_size = self.unsent_bytes
        self._stall_timer = asyncio.get_running_loop().call_later(STALLED_S, self._check_progress)

    def _check_progress(self) -> None:
        if self.unsent_bytes >= self._stall_size:
            self.abort(f"OraServer took no byte for {STALLED_S:g} s")
        elif self._paused:
            self._watch_progress()

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
