"""The proxy of the chaos tests: what each fault does to the bytes, and that no connection outlives `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest

from orastream.base.reset import reset
from tests.support.processes import free_port, until
from tests.support.tcp_proxy import TcpProxy

T = TypeVar("T")

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(30)]


class Target:
    """A server that sends back what it reads."""

    def __init__(self) -> None:
        self.port = free_port()
        self.open = 0
        self.accepted = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.accepted += 1
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def idle(self) -> bool:
        """Whether all its connections have ended."""
        return self.open == 0


class Quiet:
    """A server of one connection at a time, which reads only when the test wants it. Its receive buffer is small."""

    def __init__(self) -> None:
        self.port = free_port()
        self.accepted = asyncio.Event()
        self._sock: socket.socket | None = None

    async def serve(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)) as server:
            server.setblocking(False)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(server)
                self.closes()
                self._sock = sock
                self.accepted.set()

    @property
    def sock(self) -> socket.socket:
        """The connection."""
        assert self._sock is not None
        return self._sock

    async def reads(self) -> bytes:
        """The next bytes. Raises ConnectionResetError."""
        return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)

    def resets(self) -> None:
        """Reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.closes()

    def writes_and_ends(self, data: bytes) -> None:
        """Write in a task of its own, then EOF."""

        async def write() -> None:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)
            self.sock.shutdown(socket.SHUT_WR)

        self._writing = asyncio.create_task(write())

    def closes(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    """A running server that reads nothing by itself."""
    quiet = Quiet()
    serving = asyncio.create_task(quiet.serve())
    await asyncio.sleep(0)
    yield quiet
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    quiet.closes()


@contextlib.asynccontextmanager
async def proxied(port: int, **options: int) -> AsyncIterator[TcpProxy]:
    """A running proxy before that port."""
    proxy = TcpProxy(port, **options)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def within(waiting: Awaitable[T], seconds: float = 5.0) -> T:
    """The result. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        return await waiting


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A running target."""
    target = Target()
    server = await asyncio.start_server(target.serve, "127.0.0.1", target.port)
    yield target
    server.close()
    await server.wait_closed()


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[TcpProxy]:
    """A running proxy before the target."""
    async with proxied(target.port) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def client(proxy: TcpProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through the proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, timeout_s: float) -> bytes:
    """Send `data` and read as many bytes. Raises TimeoutError."""
    writer.write(data)
    async with asyncio.timeout(timeout_s):
        return await reader.readexactly(len(data))


async def test_bytes_pass_in_both_directions(proxy: TcpProxy) -> None:
    data = bytes(range(256)) * 4096
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, data, 10) == data


async def test_held_bytes_arrive_after_the_end_of_the_fault(proxy: TcpProxy) -> None:
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"before", 5) == b"before"
        proxy.hold()
        with pytest.raises(TimeoutError):
            await echoed(reader, writer, b"held", 0.2)
        proxy.heal()
        async with asyncio.timeout(5):
            assert await reader.readexactly(4) == b"held"


async def test_bytes_in_a_black_hole_are_lost_and_its_connections_are_reset(proxy: TcpProxy) -> None:
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"before", 5) == b"before"
        proxy.hole()
        with pytest.raises(TimeoutError):
            await echoed(reader, writer, b"lost", 0.2)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await reader.readexactly(4)
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"after", 5) == b"after"


async def test_a_cut_resets_old_and_new_connections(proxy: TcpProxy, target: Target) -> None:
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"before", 5) == b"before"
        proxy.cut()
        for a_reader, a_writer in [(reader, writer), await asyncio.open_connection("127.0.0.1", proxy.port)]:
            with pytest.raises(ConnectionResetError):
                await echoed(a_reader, a_writer, b"cut", 5)
            a_writer.transport.abort()
    await until(target.idle, "the target's connections have ended")
    assert target.accepted == 1, "nothing reaches the target through a cut link"


async def test_a_cut_loses_what_is_in_the_buffers(quiet: Quiet) -> None:
    """`abort` alone let the kernel send its buffer: the target read all 200 000 bytes, and then a normal end."""
    async with proxied(quiet.port) as proxy, client(proxy) as (reader, writer):
        writer.write(b"x" * 200_000)
        await writer.drain()
        await quiet.accepted.wait()
        await asyncio.sleep(0.1)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await within(reader.read(1))
        got = 0
        with pytest.raises(ConnectionResetError):
            while data := await within(quiet.reads()):
                got += len(data)
        assert got < 100_000, "only what the target's own kernel had"


async def test_a_reset_is_forwarded_as_a_reset_in_both_directions(quiet: Quiet) -> None:
    async with proxied(quiet.port) as proxy:
        async with client(proxy) as (_, writer):
            await quiet.accepted.wait()
            reset(writer.transport)
            with pytest.raises(ConnectionResetError):
                await within(quiet.reads())
        quiet.accepted.clear()
        async with client(proxy) as (reader, _):
            await quiet.accepted.wait()
            quiet.resets()
            with pytest.raises(ConnectionResetError):
                await within(reader.read(1))


async def test_a_normal_end_is_forwarded_as_a_normal_end_after_all_bytes(quiet: Quiet) -> None:
    data = bytes(range(256)) * 8_000
    async with proxied(quiet.port) as proxy, client(proxy) as (reader, writer):
        writer.write(data)
        writer.write_eof()
        await quiet.accepted.wait()
        quiet.writes_and_ends(data)
        await asyncio.sleep(0.2)  # the proxy has read both ends, and nobody has read from it yet
        got = b""
        while piece := await within(quiet.reads()):
            got += piece
        assert got == data
        assert await within(reader.read()) == data


async def test_a_reset_waits_like_bytes_while_a_link_is_held(quiet: Quiet) -> None:
    async with proxied(quiet.port) as proxy, client(proxy) as (_, writer):
        await quiet.accepted.wait()
        proxy.hold()
        reset(writer.transport)
        with pytest.raises(TimeoutError):
            await within(quiet.reads(), 0.2)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            await within(quiet.reads())


async def test_bytes_are_delayed(proxy: TcpProxy) -> None:
    async with client(proxy) as (reader, writer):
        proxy.delay(0.2)
        began = asyncio.get_running_loop().time()
        assert await echoed(reader, writer, b"late", 5) == b"late"
        assert asyncio.get_running_loop().time() - began >= 0.4, "0.2 s in each direction"


async def test_a_stalled_proxy_reads_nothing_from_clients(proxy: TcpProxy, target: Target) -> None:
    proxy.stall()
    async with client(proxy) as (_, writer):
        writer.write(b"x" * (32 << 20))
        await asyncio.sleep(0.2)
        assert writer.transport.get_write_buffer_size() > 0, "the kernel's buffers are full"
        proxy.heal()
        async with asyncio.timeout(10):
            await writer.drain()
    (connection,) = proxy.connections
    ((began, ended),) = connection.stalls
    assert ended is not None and ended - began >= 0.1


async def test_a_window_lets_a_slow_target_and_a_held_link_fill_the_socket_of_the_client(quiet: Quiet) -> None:
    """Without a window the proxy took 32 MiB that nobody read, and a client never saw a full socket."""
    size = 4 << 20
    async with proxied(quiet.port, window=1 << 16) as proxy, client(proxy) as (_, writer):
        await quiet.accepted.wait()
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        writer.write(bytes(size))
        await asyncio.sleep(0.3)
        left = writer.transport.get_write_buffer_size()
        assert size - left < 1 << 19, "the proxy has a limit"
        (connection,) = proxy.connections
        assert connection.stalls[-1][1] is None, "and says that it reads nothing now"
        proxy.hold()
        got = 0
        with contextlib.suppress(TimeoutError):
            while got < size:
                got += len(await within(quiet.reads(), 0.3))
        assert got < 1 << 19, "held"
        proxy.heal()
        while got < size:
            got += len(await within(quiet.reads()))
        assert all(ended is not None for _, ended in connection.stalls)


async def test_a_client_that_resets_while_the_proxy_connects_leaves_no_connection_open(
    proxy: TcpProxy, target: Target
) -> None:
    """Processes under kill -9 do so. The connection to the target was left open then, and Python said so later."""
    for _ in range(50):
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", proxy.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"accepted", 5) == b"accepted"
    await until(target.idle, "the target's connections have ended")
    assert target.accepted > 1, "no client came as far as the target"
