"""A TCP proxy on loopback whose connections can be cut, delayed, held up and resumed. For one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from orastream.base.reset import reset
from tests.support.processes import free_port

READ_BYTES = 1 << 18
QUEUED = 4
"""Pieces that wait in the proxy if it has a window."""

Mode = Literal["open", "cut", "hold", "hole"]


class Tap(Protocol):
    """Sees the bytes that a client sends, as soon as the proxy has them."""

    def sent(self, data: bytes, at: float) -> None:
        """The client has sent these bytes; they were here at `at` (unix seconds)."""
        ...


@dataclass(slots=True, eq=False)
class Connection:
    """One connection through the proxy. `local_port` is the port from which the target sees it."""

    opened_at: float
    local_port: int
    tap: Tap | None
    closed_at: float | None = None
    stalls: list[tuple[float, float | None]] = field(default_factory=list)
    """When the proxy read nothing from the client: its bytes waited in the kernel's buffers."""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _doomed: bool = False

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Note that the proxy reads nothing meanwhile."""
        number, began = len(self.stalls), time.time()
        self.stalls.append((began, None))
        try:
            yield
        finally:
            self.stalls[number] = (began, time.time())

    async def close(self) -> None:
        """Close both sides when what was written has been sent. For the normal end of both directions."""
        await asyncio.gather(*(self._close(writer) for writer in self._writers))

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._writers.remove(writer)

    def abort(self) -> None:
        """Reset both sides; what is on the way is lost, also in the kernel's send buffers."""
        for writer in self._writers:
            reset(writer.transport)
            writer.transport.abort()  # one that is closing already, and waits for its buffer


class TcpProxy:
    """Listens on `port` of 127.0.0.1 and forwards to `target_port`. It reads at once and buffers without limit.

    With `window` it holds about so many bytes of a client, and the kernel of this machine about as many: a target that
    reads slowly, or a fault that lets bytes wait, fills the client's own socket then, as on a network.

    `cut`: connections are reset, new ones too. `hold`: bytes wait and are sent later. `hole`: bytes wait, and the
    connections of that time are reset at the end. `stall`: the proxy stops reading from clients.
    """

    def __init__(
        self, target_port: int, *, port: int | None = None, tap: Callable[[], Tap] | None = None, window: int = 0
    ) -> None:
        self.port = port or free_port()
        self._target_port = target_port
        self._tap = tap
        self._window = window
        self._read_bytes = window // QUEUED if window else READ_BYTES
        self._mode: Mode = "open"
        self._delay_s = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._reading = asyncio.Event()
        self._reading.set()
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Connection] = []
        """All connections so far, in the order of their opening."""

    async def start(self) -> None:
        """Begin to listen."""
        listening = socket.create_server(("127.0.0.1", self.port))
        if self._window:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._read_bytes)  # its connections get it too
        limit = self._read_bytes // 2  # a StreamReader holds twice as many
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=limit)

    async def stop(self) -> None:
        """Reset all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.abort()
        self._flowing.set()
        self._reading.set()
        # A connection that was accepted just now gets its task: a task that is cancelled before leaves it open.
        await asyncio.sleep(0.05)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            connection.abort()
        await asyncio.sleep(0.01)  # the transports close in the next rounds of the loop, which may be its last ones

    # ---- faults

    def cut(self) -> None:
        """Reset all connections, and each new one, until `heal`."""
        self._mode = "cut"
        for connection in list(self._open):
            connection.abort()

    def delay(self, seconds: float) -> None:
        """Deliver each byte that much later, in both directions; 0 ends it."""
        self._delay_s = seconds

    def hold(self) -> None:
        """Let all bytes of both directions wait, and deliver them at `heal`."""
        self._mode = "hold"
        self._flowing.clear()

    def hole(self) -> None:
        """Let all bytes wait. At `heal` the connections of that time are reset, and their bytes are lost."""
        self._mode = "hole"
        self._flowing.clear()
        for connection in self._open:
            connection._doomed = True

    def stall(self) -> None:
        """Read nothing from clients until `heal`, so that their send buffers fill."""
        self._reading.clear()
        now = time.time()
        for connection in self._open:
            connection.stalls.append((now, None))

    def heal(self) -> None:
        """End every fault except a delay."""
        self._mode = "open"
        for connection in list(self._open):
            if connection._doomed:
                connection.abort()
        if not self._reading.is_set():
            now = time.time()
            for connection in self._open:
                connection.stalls[:] = [(began, ended or now) for began, ended in connection.stalls]
        self._flowing.set()
        self._reading.set()

    # ---- forwarding

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # `stop`: asyncio would log the cancellation
        finally:
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cut":
            reset(writer.transport)
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target_port, limit=READ_BYTES)
        except OSError:
            reset(writer.transport)
            return
        port = back_writer.get_extra_info("sockname")[1]
        connection = Connection(time.time(), port, self._tap() if self._tap is not None else None)
        connection._writers = [writer, back_writer]
        connection._doomed = self._mode == "hole"
        if not self._reading.is_set():
            connection.stalls.append((connection.opened_at, None))
        self.connections.append(connection)
        self._open.add(connection)
        try:
            for side in (writer, back_writer):
                sock = side.get_extra_info("socket")
                if sock is None:
                    raise ConnectionResetError  # uvloop: it is closed already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                side.transport.set_write_buffer_limits(high=1 << 30)
            if self._window:
                back_writer.transport.set_write_buffer_limits(high=self._read_bytes)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._read_bytes)
            await asyncio.gather(
                self._pump(reader, back_writer, connection, tapped=True),
                self._pump(back_reader, writer, connection, tapped=False),
            )
            await connection.close()
        except OSError:
            pass  # the client has reset its connection already: its socket has no options any more
        finally:
            connection.closed_at = time.time()
            self._open.discard(connection)
            connection.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection, *, tapped: bool
    ) -> None:
        """Copy one direction. Reading and writing are separate, so that a fault does not stop the reading.

        An end is forwarded as what it is, after the bytes before it: EOF as EOF, a reset as a reset.
        """
        queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(QUEUED if self._window and tapped else 0)
        loop = asyncio.get_running_loop()

        async def deliver() -> None:
            open_ = True
            while True:
                due, data = await queue.get()
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                await self._flowing.wait()
                try:
                    if data and open_:
                        writer.write(data)
                        await writer.drain()
                    elif data is None:
                        connection.abort()
                    elif not data and open_:
                        writer.write_eof()
                except (OSError, RuntimeError):  # uvloop raises RuntimeError for a closed transport
                    connection.abort()
                    open_ = False  # go on, so that the reading never waits for a place in the queue
                if not data:
                    return

        async def read() -> bytes | None:
            """The next bytes; empty for EOF, None for a reset."""
            try:
                return await reader.read(self._read_bytes)
            except OSError:
                return None

        delivering = asyncio.create_task(deliver())
        try:
            while True:
                if tapped:
                    await self._reading.wait()
                data = await read()
                if data and tapped and connection.tap is not None:
                    connection.tap.sent(data, time.time())
                with connection.stalled() if queue.full() else contextlib.nullcontext():
                    await queue.put((loop.time() + self._delay_s, data))
                if not data:
                    await delivering
                    return
        finally:
            delivering.cancel()
