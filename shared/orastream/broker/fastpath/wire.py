"""A TCP transport for nats-py over a buffered protocol: the socket is read into the splitter's buffer.

asyncio's streams copy each byte three times and wake a task before anything is parsed. Here a message is delivered
while the socket is read, and nats-py receives the rest: PING, PONG, INFO, +OK and -ERR.
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

GONE = "the connection is closed"
CLOSE_S = 0.3
"""Limit for sending pending bytes at a close: a peer that stopped reading would block it without end."""


class TlsMissing(ConnectionError):
    """TLS is required and the connection has none. Nothing was written to it."""

    def __init__(self) -> None:
        super().__init__(address.NO_TLS)


OnBroken = Callable[[Exception], object]


class Wire(asyncio.BufferedProtocol):
    """One connection. `ended`: no more bytes will come; `error` is the reason, None after a normal end."""

    def __init__(self, deliver: Deliver, on_broken: OnBroken) -> None:
        """`on_broken` is called with the exception that parsing the received bytes raised."""
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
        """Store the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        return self.splitter.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Deliver complete messages. Never raises: the event loop would get the error, not the reader."""
        try:
            self.splitter.filled(nbytes)
        except Exception as exc:  # noqa: BLE001 - the reader raises it again, and it is logged there
            self._break(exc)
        if self.splitter.others:
            self._came.set()

    def eof_received(self) -> None:
        """The server sends no more."""
        self.ended = True
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everyone who waits for the connection."""
        self.error = self.error or exc
        self.ended = True
        self.closed.set()
        self._came.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Make `drained` wait: the write buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drained` return: the write buffer has room again."""
        self._writable.set()

    # ---- what the transport needs

    async def line(self) -> bytes:
        """Return the next line, b"" at the end. Raises the error that broke the connection."""
        while not (line := self.splitter.take_line()) and not self.ended:
            await self._more()
        if not line and self.error is not None:
            raise self.error
        return line

    async def operations(self) -> bytes:
        """Return the operations for nats-py, b"" at the end. Raises the error that broke the connection."""
        while not self.splitter.others and not self.ended:
            await self._more()
        if not self.splitter.others and self.error is not None:
            raise self.error
        return self.splitter.take()

    async def drained(self) -> None:
        """Return when more may be written. Raises the error that broke the connection."""
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
        """Close the connection now and drop pending bytes."""
        if self.transport is not None:
            self.transport.abort()

    async def _more(self) -> None:
        self._came.clear()
        await self._came.wait()


class WireTransport(Transport):
    """The transport of one client, for all its connections, one after the other."""

    def __init__(self, deliver: Deliver, on_broken: OnBroken, *, secure: bool = False) -> None:
        """`secure`: write nothing to a connection without TLS, because user and password are sent first."""
        self._deliver = deliver
        self._on_broken = on_broken
        self._secure = secure
        self._encrypted = False
        self._wire = Wire(deliver, on_broken)

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open a new connection within `connect_timeout` seconds. Raises OSError, TimeoutError."""
        assert uri.hostname is not None and uri.port is not None, "nats-py sets both"
        self.abort()  # nats-py leaves the connection of a failed handshake open: four a second
        wire = Wire(self._deliver, self._on_broken)
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().create_connection(lambda: wire, uri.hostname, uri.port)
        self._wire, self._encrypted = wire, False

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Start TLS on the current connection within `connect_timeout` seconds. Raises OSError, TimeoutError."""
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
        """Close the current connection at once and drop pending bytes."""
        self._wire.abort()

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._wire.transport
        assert transport is not None, "connect() was called before"
        return transport

    def write(self, payload: bytes) -> None:
        """Send bytes. Raises TlsMissing, ConnectionResetError or the error that broke the connection."""
        self._writable().write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Send pieces. Raises what `write` raises."""
        self._writable().writelines(payload)

    def _writable(self) -> asyncio.Transport:
        if self._secure and not self._encrypted:
            self.abort()
            raise TlsMissing
        if self._wire.ended:
            # uvloop's transport would raise RuntimeError, and nats-py takes that for a closed event loop: its flusher
            # ends, and the next publish raises it.
            raise self._wire.error or ConnectionResetError(GONE)
        return self._transport

    async def read(self, buffer_size: int) -> bytes:
        """Return complete operations for nats-py to handle."""
        return await self._wire.operations()

    async def readline(self) -> bytes:
        """Return one operation of the handshake."""
        return await self._wire.line()

    async def drain(self) -> None:
        """Return when more may be written."""
        await self._wire.drained()

    async def wait_closed(self) -> None:
        """Return when the connection is closed. After CLOSE_S it is aborted."""
        if self._wire.transport is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._wire.closed.wait()
        except TimeoutError:
            self._wire.abort()

    def close(self) -> None:
        """Close the connection once pending bytes are sent."""
        if self._wire.transport is not None:
            self._wire.transport.close()

    def at_eof(self) -> bool:
        """Whether no more operations will come."""
        return self._wire.ended and not self._wire.splitter.others

    def __bool__(self) -> bool:
        """Always True: nats-py would replace a false transport by its own."""
        return True
