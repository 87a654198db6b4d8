"""One WebSocket to OraServer: an asyncio protocol around the sans-I/O client of `websockets`.

Writes are synchronous, so that no other task runs between the decision to write and the write. The send buffers are
small, so that little audio is in flight at a barge-in. The timers are in `Liveness`, because TCP and its keepalive do
not detect a peer that stopped reading.
"""

# length: one connection; its calls and the events of its transport use the same state

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from orastream.base.reset import reset, reset_on_close
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket import end_reasons
from orastream.delivery.websocket.end_reasons import EndReasons
from orastream.delivery.websocket.inflow import PacedInput
from orastream.delivery.websocket.liveness import PONG_S, Liveness
from orastream.delivery.websocket.masking import FIN_BINARY, FIN_PING, FIN_TEXT, MASKS, masked_frame
from orastream.delivery.websocket.messages import DATA, MessageReader
from orastream.delivery.websocket.pings import Pings
from orastream.delivery.websocket.status_line import StatusLine
from orastream.tls import ORASERVER, ClientTls, TlsFiles

HANDSHAKE_S = 5.0
SWITCHING_PROTOCOLS = 101
NORMAL = 1000
SEND_BUFFER_BYTES = 128 << 10
USER_BUFFER_BYTES = 64 << 10
"""Bytes of this connection that the process may hold before `room` is False: one or two chunks."""
SHARED_UNSENT_BYTES = 16 << 10
"""Bytes of a shared connection that the kernel may hold unsent: what a barge-in must wait for, besides one frame."""
SHARED_COST_PER_S = 8000.0
"""What the answers on a shared connection may cost: those of 1 000 streams, twice over (see `inflow`)."""
TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class WebSocketConnection(asyncio.Protocol):
    """A WebSocket. `lost` is None while it is open, then the reason why it ended; after that writes do nothing."""

    def __init__(
        self,
        uri: str,
        headers: dict[str, str],
        wake: Callable[[], None],
        client_tls: ClientTls | None = None,
        subprotocols: Iterable[str] = (),
    ) -> None:
        self._uri = parse_uri(uri)
        client_tls = client_tls or ClientTls(TlsFiles(ORASERVER))
        self._reasons = EndReasons(self._uri.host, self._uri.port, self._uri.secure, client_tls)
        offer = [Subprotocol(name) for name in subprotocols]
        self._protocol = ClientProtocol(self._uri, max_size=1 << 20, subprotocols=offer or None)
        self._masks = MASKS
        self._headers = headers
        self.wake = wake
        """Called when `room` becomes true again, and when the connection ends."""
        self._messages = MessageReader() if offer else None
        """Takes what OraServer sends; None: it is ignored."""
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()  # kept, because get_running_loop() calls getpid() each time
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._liveness = Liveness()
        self._pings = Pings(self._loop, self._liveness)
        self._input = PacedInput(self._take, self._read)
        self._status_line = StatusLine()
        self._unsent_pong: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self.lost: LinkLost | None = None

    @classmethod
    async def open(
        cls,
        uri: str,
        headers: dict[str, str],
        wake: Callable[[], None],
        client_tls: ClientTls | None = None,
        subprotocols: Iterable[str] = (),
    ) -> WebSocketConnection:
        """Connect and complete the handshake within HANDSHAKE_S. Raises LinkLost, with `refused` for a 4xx.

        `client_tls` is used for a `wss://` address; None: with the system's authorities and no client certificate.
        `subprotocols` are offered, in this order.
        """
        try:
            connection = cls(uri, headers, wake, client_tls, subprotocols)
        except (WebSocketException, ValueError) as exc:
            raise LinkLost(f"ORASERVER_WEBSOCKET_URL cannot be used ({type(exc).__name__})") from None
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await connection._loop.create_connection(
                    lambda: connection,
                    connection._uri.host,
                    connection._uri.port,
                    ssl=connection._reasons.client_tls.context() if connection._uri.secure else None,
                )
                await connection._opened
        except TimeoutError:
            connection.abort(f"no WebSocket handshake within {HANDSHAKE_S:g} s")
        except (OSError, ValueError) as exc:
            connection.abort(connection._reasons.unconnected(exc))
        except BaseException:
            connection.abort("cancelled while connecting")
            raise
        if connection.lost is not None:
            raise connection.lost
        return connection

    # ---- used by the links

    @property
    def subprotocol(self) -> str | None:
        """What OraServer has selected."""
        return self._protocol.subprotocol

    @property
    def room(self) -> bool:
        """Whether a frame may be written now. `wake` is called when this becomes true again."""
        return not self._paused and self.lost is None

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send_text(self, *parts: bytes) -> None:
        """Write a text frame now, without blocking; the UTF-8 payload is given in parts."""
        self._send(FIN_TEXT, parts)

    def send_binary(self, *parts: bytes) -> None:
        """Write a binary frame now, without blocking; the payload is given in parts."""
        self._send(FIN_BINARY, parts)

    def share(self, received: Callable[[bytes | None], None], wake: Callable[[], None]) -> None:
        """Use the connection for many sessions: little may be unsent, and OraServer's messages go to `received`.

        `received` gets each binary message, and None for a text message.
        """
        self.wake = wake
        self._input.allow(SHARED_COST_PER_S)
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=1, low=0)  # with 0 a TLS transport would pause for ever
            sock = self._transport.get_extra_info("socket")
            if sock is not None and TCP_NOTSENT_LOWAT is not None:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, SHARED_UNSENT_BYTES)
        if self._messages is not None:
            self._messages.pass_to(received)

    def ignore_messages(self) -> None:
        """Keep nothing of what OraServer sends: protocol v1 has no messages to the bridge."""
        self._messages = None

    def confirm(self) -> asyncio.Future[None]:
        """Send a ping; the future is done when it is answered. It fails with LinkLost.

        That includes PONG_S seconds without progress.
        """
        payload, answered = self._pings.new()
        if self.lost is not None:
            self._pings.fail(self.lost)
            return answered
        if self._timer is None:
            self._timer = self._loop.call_later(PONG_S, self._look)
        self._send(FIN_PING, (payload,))
        return answered

    def close(self, code: int = NORMAL, reason: str = "closed by this side") -> None:
        """Send a close frame if that does not block, and end the connection.

        The frame has `reason` unless the end is a normal one (1000): OraServer's log then says what is wrong.
        """
        if self.lost is None and self._protocol.state is State.OPEN and not self._paused:
            self._protocol.send_close(code, "" if code == NORMAL else end_reasons.in_close_frame(reason))
            self._flush()
            self._close_normally()
        self.abort(reason)

    def abort(self, reason: str | LinkLost) -> None:
        """End the connection now with a reset; bytes that were not sent are dropped, also those in the kernel."""
        if self.lost is not None:
            return
        self.lost = reason if isinstance(reason, LinkLost) else LinkLost(reason)
        if self._transport is not None and self._opened.done():
            reset(self._transport)
        elif self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        if not self._opened.done():
            self._opened.set_result(None)
        self._pings.fail(self.lost)
        self._input.close()
        self.wake()
        # The transport and the parser refer to this connection: without these two it is freed at once.
        self._transport = None
        self._protocol.parser.close()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the buffer sizes and send the handshake."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's has another base class
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        transport.set_write_buffer_limits(high=USER_BUFFER_BYTES, low=0)
        try:
            request = self._protocol.connect()
            for name, value in self._headers.items():
                if name in request.headers:  # Authorization, from the user in the address: the token replaces it
                    del request.headers[name]
                request.headers[name] = value
            self._protocol.send_request(request)
        except (WebSocketException, ValueError) as exc:  # its message quotes the header: a token
            self.abort(f"the handshake cannot be written: a header is not usable ({type(exc).__name__})")
            return
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Handle the bytes, in slices (see `inflow`)."""
        if self.lost is None:
            self._input.feed(data)

    def _take(self, data: bytes) -> int | None:
        """Pass the bytes to the sans-I/O protocol, and act on its events; returns their number, None if it ended."""
        if not self._opened.done() and self._not_opened(self._status_line.feed(data)):
            return None
        self._protocol.receive_data(data)
        self._flush()
        events = self._protocol.events_received()
        for event in events:
            if isinstance(event, Response):
                self._on_response()
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self._pings.answered(bytes(event.data), self._loop.time())
            elif isinstance(event, Frame) and self._messages is not None and event.opcode in DATA and self.lost is None:
                self._messages.frame(event)
        if self._protocol.state in (State.CLOSING, State.CLOSED) and self.lost is None:
            if not self.unsent_bytes:
                self._close_normally()
            self.abort(self._end())
        return len(events) if self.lost is None else None

    def eof_received(self) -> None:
        """OraServer has closed its side."""
        self._ended(None, "the connection was ended by OraServer")

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport was closed."""
        self._ended(exc, f"the connection broke ({getattr(exc, 'strerror', None) or exc or 'end of stream'})")

    def pause_writing(self) -> None:
        """The kernel takes no more now: begin to check whether it takes any byte."""
        self._paused = True
        self._look()

    def resume_writing(self) -> None:
        """The kernel has taken all bytes."""
        self._paused = False
        self._liveness.sent(self._loop.time())
        pong, self._unsent_pong = self._unsent_pong, None
        if pong is not None and self._transport is not None:
            self._transport.write(pong)
        self.wake()

    # ---- private

    def _ended(self, exc: Exception | None, reason: str) -> None:
        if self._opened.done():
            self.abort(reason)
        elif not self._not_opened(self._status_line.ended()):
            self.abort(self._reasons.before_handshake(exc) or reason)

    def _send(self, first: int, parts: Sequence[bytes]) -> None:
        if self.lost is None and self._transport is not None:
            self._transport.writelines(masked_frame(first, parts, self._masks.next()))

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        frames = [data for data in self._protocol.data_to_send() if data]
        if frames and self._paused and self._protocol.state is State.OPEN:
            # Pongs for an OraServer that does not read: they would fill the memory; one answers all (RFC 6455, 5.5.3).
            self._unsent_pong = frames[-1]
            return
        for data in frames:
            self._transport.write(data)

    def _read(self, on: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def _close_normally(self) -> None:
        """Close the transport without a reset, which could drop the close frame."""
        if self._transport is not None:
            self._resets_on_close(on=False)
            self._transport.close()

    def _resets_on_close(self, *, on: bool) -> None:
        transport = self._transport
        sock = None if transport is None or transport.is_closing() else transport.get_extra_info("socket")
        if sock is not None:
            reset_on_close(sock, on=on)

    def _on_response(self) -> None:
        error = self._protocol.handshake_exc
        if error is None:
            if not self._opened.done():
                self._opened.set_result(None)
            self._resets_on_close(on=True)  # also if this process is killed
            return
        self.abort(end_reasons.handshake_invalid(error))

    def _not_opened(self, status: int | None) -> bool:
        """Whether OraServer has answered the handshake with another status than 101. Then the connection is ended."""
        if status in (None, SWITCHING_PROTOCOLS):
            return False
        self.abort(LinkLost(f"the handshake was answered by HTTP {status}", status=status))
        return True

    def _end(self) -> str:
        close = self._protocol.close_rcvd
        if close is None:  # this side sends the close frame
            return end_reasons.broken(self._protocol.parser_exc)
        return end_reasons.closed(close.code, close.reason)

    def _look(self) -> None:
        """Abort the connection if a time limit has passed, else set the timer for the next check.

        There is one timer for all limits, because nearly every wait ends long before its limit.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self.lost is not None:
            return
        now = self._loop.time()
        if self._paused:
            self._liveness.unsent(self.unsent_bytes, now)
        if (gone := self._liveness.gone(now)) is not None:
            self.abort(gone)
            return
        if (at := self._liveness.next_time(now)) is not None:
            self._timer = self._loop.call_later(at - now, self._look)
