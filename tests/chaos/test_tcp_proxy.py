"""The proxy of the chaos tests: what each fault does to the bytes, and that no connection outlives `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from tests.support.processes import free_port, until
from tests.support.tcp_proxy import TcpProxy

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
    proxy = TcpProxy(target.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


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
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(5):
                await reader.readexactly(4)
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"after", 5) == b"after"


async def test_a_cut_resets_old_and_new_connections(proxy: TcpProxy, target: Target) -> None:
    async with client(proxy) as (reader, writer):
        assert await echoed(reader, writer, b"before", 5) == b"before"
        proxy.cut()
        for one, other in [(reader, writer), await asyncio.open_connection("127.0.0.1", proxy.port)]:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await echoed(one, other, b"cut", 5)
            other.transport.abort()
    await until(target.idle, "the target's connections have ended")
    assert target.accepted == 1, "nothing reaches the target through a cut link"


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
    assert ended is not None and ended - began >= 0.2


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
