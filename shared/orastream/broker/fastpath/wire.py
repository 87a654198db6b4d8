"""nats-py's TCP transport over a buffered protocol: the socket is read into the splitter's buffer, without a stream.

asyncio's streams copy each byte three times and wake a task before anything is parsed; here a message is delivered
while the socket is read. nats-py sees what remains: PING, PONG, INFO and errors.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import ParseResult

from nats.aio.transport import Transport

from orastream.broker import address
from orastream.broker.fastpath.splitter import Deliver, Splitter

GONE = "the connection is gone"
CLOSE_S = 1.0
"""What is still to be sent at a close may take this long; a peer that hangs would take for ever."""


class TlsMissing(ConnectionError):
    """TLS is asked for, and the connection has none: nothing was written to it."""

    def __init__(self) -> None:
        super().__init__(address.NO_TLS)


OnBroken = Callable[[Exception], object]


class Wire(asyncio.BufferedProtocol):
    """One connection. `ended` once nothing more will come; `error` says why, unless it just ended."""

    def __init__(self, deliver: Deliver, on_broken: OnBroken) -> None:
        """`on_broken` is called, once, with what was read and could not be."""
        self.splitter = Splitter(deliver)
        self._on_broken = on_broken
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.error: Exception | None = None
        self.closed = asyncio.Event()
        self._came = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    # ---- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the socket is read into."""
        return self.splitter.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Deliver what is whole. Never raises: an error here would go past every handler, to the event loop."""
        try:
            self.splitter.filled(nbytes)
        except Exception as exc:  # noqa: BLE001 - the border of what was read: the reader gets it, and logs it
            self._break(exc)
        if self.splitter.others:
            self._came.set()

    def eof_received(self) -> None:
        """The server ended its side."""
        self.ended = True
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes or goes."""
        self.error = self.error or exc
        self.ended = True
        self.closed.set()
        self._came.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The kernel takes no more now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has taken enough."""
        self._writable.set()

    # ---- what the transport needs

    async def line(self) -> bytes:
        """The next line; nothing at the end. Raises what the connection broke of."""
        while not (line := self.splitter.take_line()) and not self.ended:
            await self._more()
        if not line and self.error is not None:
            raise self.error
        return line

    async def operations(self) -> bytes:
        """What has come for nats-py; nothing at the end. Raises what the connection broke of."""
        while not self.splitter.others and not self.ended:
            await self._more()
        if not self.splitter.others and self.error is not None:
            raise self.error
        return self.splitter.take()

    async def drained(self) -> None:
        """Return when more may be written. Raises what the connection broke of."""
        await self._writable.wait()
        if self.closed.is_set():
            raise self.error or ConnectionResetError(GONE)

    def _break(self, exc: Exception) -> None:
        self.error = exc
        self.ended = True
        self._came.set()
        self.abort()
        self._on_broken(exc)

    def abort(self) -> None:
        """End the connection now; what is still to be sent is dropped."""
        if self.transport is not None:
            self.transport.abort()

    async def _more(self) -> None:
        self._came.clear()
        await self._came.wait()


class WireTransport(Transport):
    """The transport of a client, for all connections that it makes one after the other."""

    def __init__(self, deliver: Deliver, on_broken: OnBroken, *, secure: bool = False) -> None:
        """With `secure` nothing is written to a connection before it has TLS: user and password would be the first."""
        self._deliver = deliver
        self._on_broken = on_broken
        self._secure = secure
        self._encrypted = False
        self._wire = Wire(deliver, on_broken)

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """A new connection. Raises OSError, TimeoutError."""
        assert uri.hostname is not None and uri.port is not None, "nats-py sees to both"
        self.abort()  # a handshake that failed leaves its connection open, four of them a second
        wire = Wire(self._deliver, self._on_broken)
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().create_connection(lambda: wire, uri.hostname, uri.port)
        self._wire, self._encrypted = wire, False

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """TLS from here on, on the connection that there is. Raises OSError, TimeoutError."""
        name = uri if isinstance(uri, str) else uri.hostname
        plain = self._transport
        wire = Wire(self._deliver, self._on_broken)
        try:
            async with asyncio.timeout(connect_timeout):
                made = await asyncio.get_running_loop().start_tls(plain, wire, ssl_context, server_hostname=name)
        except BaseException:
            plain.abort()
            raise
        assert made is not None
        wire.connection_made(made)
        self._wire, self._encrypted = wire, True

    def abort(self) -> None:
        """End the connection that there is, at once."""
        self._wire.abort()

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._wire.transport
        assert transport is not None, "connect() comes first"
        return transport

    def write(self, payload: bytes) -> None:
        """Hand bytes to the socket. Raises TlsMissing, ConnectionResetError."""
        self._writable().write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Hand pieces to the socket. Raises TlsMissing, ConnectionResetError."""
        self._writable().writelines(payload)

    def _writable(self) -> asyncio.Transport:
        if self._secure and not self._encrypted:
            self.abort()
            raise TlsMissing
        if self._wire.ended:
            # uvloop's transport would raise RuntimeError, which nats-py takes for the end of the loop: it flushes no
            # more, and whoever publishes next gets that error.
            raise self._wire.error or ConnectionResetError(GONE)
        return self._transport

    async def read(self, buffer_size: int) -> bytes:
        """Whole operations that are nats-py's to do."""
        return await self._wire.operations()

    async def readline(self) -> bytes:
        """One operation of the handshake."""
        return await self._wire.line()

    async def drain(self) -> None:
        """Return when more may be written."""
        await self._wire.drained()

    async def wait_closed(self) -> None:
        """Return when the connection is gone; cut off what would keep it."""
        if self._wire.transport is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._wire.closed.wait()
        except TimeoutError:
            self._wire.abort()

    def close(self) -> None:
        """End the connection once everything written is sent."""
        if self._wire.transport is not None:
            self._wire.transport.close()

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._wire.ended and not self._wire.splitter.others

    def __bool__(self) -> bool:
        """Always: nats-py makes a transport of its own in the place of one that says no."""
        return True
