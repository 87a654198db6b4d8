"""The time limits and places of connections, on a real server in this process and raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from orastream.service.metrics import Metrics
from services.gateway.guards import Guard, probes_only
from services.gateway.http.connection_table import ConnectionTable
from services.gateway.http.protocol import BoundedProtocol, Bounds
from services.gateway.http.refusals import RefusalCounter
from services.gateway.http.server import ServerConfig, serving
from tests.support.processes import until

pytestmark = pytest.mark.integration

HEAD_S, BODY_S, STALL_S = 0.6, 1.2, 0.8
PATIENCE_S = 6.0
GET = b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`/ok` answers before the body, `/read` after it; `/busy` begins an answer, `/much` goes on sending."""
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/busy":
        await asyncio.sleep(60)
    while scope["path"] == "/much":
        await send({"type": "http.response.body", "body": b" " * (1 << 16), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class Peer:
    """A raw connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self._opened_s = time.monotonic()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> bytes:
        """The body of the next answer, which is 200 and chunked."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            return (await self.reader.readuntil(b"0\r\n\r\n")).split(b"\r\n")[1]

    async def rest(self) -> bytes:
        """All until the server closes the connection, also when it resets it."""
        async with asyncio.timeout(PATIENCE_S):
            read = bytearray()
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(1 << 16):
                    read += piece
            return bytes(read)

    async def open_s(self, drip: bytes = b"") -> float:
        """How long the connection is open, in seconds, while a byte of `drip` is sent every 50 ms."""
        ended = asyncio.create_task(self.rest())
        for number in range(1000):
            if ended.done():
                break
            with contextlib.suppress(ConnectionError):
                self.send(drip[number : number + 1])
            await asyncio.sleep(0.05)
        await ended
        return time.monotonic() - self._opened_s

    def close(self) -> None:
        self._writer.transport.abort()


class Gateway:
    """A server, and the peers that a test has opened."""

    def __init__(self, port: int, bounds: Bounds, metrics: Metrics) -> None:
        self.port, self.table, self._metrics = port, bounds.table, metrics
        self.peers: list[Peer] = []

    async def connect(self, data: bytes = b"", source: str = "127.0.0.1") -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0)))
        self.peers.append(peer)
        peer.send(data)
        return peer

    async def opened(self, count: int) -> None:
        async def so_many() -> bool:
            return len(self.table) == count

        await until(so_many, f"{count} connections are open")

    async def busy(self) -> Peer:
        """A connection whose request is in progress."""
        peer = await self.connect(GET.replace(b"/ok", b"/busy"))
        async with asyncio.timeout(PATIENCE_S):
            await peer.reader.readuntil(b"\r\n\r\n")
        return peer

    def refused(self, reason: str) -> float:
        return self._metrics.registry.get_sample_value("orastream_gateway_refusals_total", {"reason": reason}) or 0


@contextlib.asynccontextmanager
async def gateway(
    total: int = 100, per_address: int | None = None, spares: int = 1, **times_s: float
) -> AsyncIterator[Gateway]:
    metrics = Metrics()
    counter = RefusalCounter(metrics)
    table: ConnectionTable[BoundedProtocol] = ConnectionTable(total, per_address, spares)
    bounds = replace(Bounds(table, counter.count, HEAD_S, BODY_S, STALL_S), **times_s)
    guarded = Guard(app, counter.count)
    config = ServerConfig(guarded, probes_only(guarded), bounds)
    async with serving(config, "127.0.0.1", 0, grace_s=0, stop=asyncio.Event()) as (_, port):
        opened = Gateway(port, bounds, metrics)
        try:
            yield opened
        finally:
            for peer in opened.peers:
                peer.close()


# ---- time limits


@pytest.mark.parametrize(
    ("begins", "drip"), [(b"", b""), (b"GET /ok HTTP/1.1\r\n", b""), (b"G", b"ET /ok HTTP/1.1\r\nA: " + b"b" * 900)]
)
async def test_connection_without_a_complete_head_is_closed(begins: bytes, drip: bytes) -> None:
    async with gateway() as server:
        peer = await server.connect(begins)
        assert HEAD_S - 0.1 <= await peer.open_s(drip) < PATIENCE_S / 2
        assert server.refused("head_timeout") == 1
        await server.opened(0)


async def test_incomplete_head_is_answered_with_408_and_silence_with_nothing() -> None:
    async with gateway() as server:
        silent, begun = await server.connect(), await server.connect(b"GET /ok HTTP/1.1\r\n")
        assert await silent.rest() == b""
        head, _, body = (await begun.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout") and b"Connection: close" in head
        assert json.loads(body)["error"]["code"] == "head_timeout"


async def test_time_for_a_later_head_begins_with_its_first_byte() -> None:
    async with gateway() as server:
        peer = await server.connect(GET)
        assert await peer.answer() == b"/ok"
        await asyncio.sleep(2 * HEAD_S)
        peer.send(GET)
        assert await peer.answer() == b"/ok", "an idle connection was closed"
        peer.send(b"GET /ok")
        began_s = time.monotonic()
        assert (await peer.rest()).startswith(b"HTTP/1.1 408")
        assert HEAD_S - 0.1 <= time.monotonic() - began_s < PATIENCE_S / 2


@pytest.mark.parametrize("path", [b"/read", b"/ok"])  # before and after the answer
async def test_body_that_comes_too_slowly_ends_the_connection(path: bytes) -> None:
    async with gateway() as server:
        peer = await server.connect(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
        assert BODY_S - 0.1 <= await peer.open_s(b"x" * 1000) < PATIENCE_S / 2
        assert server.refused("body_timeout") == 1
        await server.opened(0)


async def test_slow_but_complete_requests_are_answered_one_after_the_other() -> None:
    async with gateway() as server:
        peer = await server.connect()
        for _ in range(4):
            for piece in (b"POST /read HTTP/1.1\r\n", b"Host: a\r\nContent-Length: 3\r\n\r\n", b"a", b"bc"):
                await asyncio.sleep(0.1)
                peer.send(piece)
            assert await peer.answer() == b"/read"
        assert not server.refused("head_timeout") + server.refused("body_timeout")


async def test_pipelined_requests_are_answered_and_an_incomplete_one_behind_them_ends_the_connection() -> None:
    async with gateway() as server:
        body = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
        peer = await server.connect(GET + body + GET + b"GET /ok HT")
        assert [await peer.answer() for _ in range(3)] == [b"/ok", b"/read", b"/ok"]
        assert (await peer.rest()).startswith(b"HTTP/1.1 408")


async def test_request_in_progress_has_no_time_limit() -> None:
    async with gateway() as server:
        peer = await server.busy()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2 * BODY_S):
                await peer.reader.read(1)
        assert len(server.table) == 1


async def test_reader_that_takes_nothing_is_disconnected() -> None:
    async with gateway() as server:
        await server.connect(GET.replace(b"/ok", b"/much"))  # the StreamReader stops reading after 128 KiB
        await server.opened(1)
        await server.opened(0)
        assert server.refused("stalled_reader") == 1


async def test_slow_reader_who_goes_on_reading_is_served() -> None:
    async with gateway() as server:
        peer = await server.connect(GET.replace(b"/ok", b"/much"))
        ends_s = time.monotonic() + 3 * STALL_S
        while time.monotonic() < ends_s:
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(1000):
                    assert await peer.reader.read(1 << 16)
            await asyncio.sleep(0.1)
        assert not server.refused("stalled_reader")


# ---- places


async def test_silent_connections_of_an_address_keep_nobody_out() -> None:
    async with gateway(total=20, per_address=5, head_s=30, body_s=30) as server:
        silent = [await server.connect() for _ in range(4)]
        slow = await server.connect(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na")
        await server.opened(5)
        for _ in range(6):
            peer = await server.connect(GET)
            assert await peer.answer() == b"/ok"
        assert {await peer.rest() for peer in (*silent, slow)} == {b""}
        assert server.refused("connections_per_address") == 6
        other = await server.connect(GET, source="127.0.0.2")
        assert await other.answer() == b"/ok"


async def test_full_gateway_answers_health_checks_and_refuses_others_with_503() -> None:
    async with gateway(total=2, spares=1) as server:
        for _ in range(2):
            await server.busy()
        for number in range(5):
            probe = await server.connect(GET.replace(b"/ok", b"/healthz"))
            assert await probe.answer() == b"/healthz", number
            refused = await server.connect(GET)
            head, _, body = (await refused.rest()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in head.lower()
            assert json.loads(body)["error"]["code"] == "overloaded"
        assert server.refused("connections") == 10


async def test_without_spares_left_a_connection_is_refused_at_once_with_503() -> None:
    async with gateway(total=1, spares=0) as server:
        await server.busy()
        peer = await server.connect()
        assert (await peer.rest()).startswith(b"HTTP/1.1 503")
        assert len(server.table) == 1


# ---- framing


TWO_LENGTHS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"transfer-encoding: Chunked\r\ncontent-length: 0\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n",
]


@pytest.mark.parametrize("fields", TWO_LENGTHS)
async def test_second_request_behind_two_lengths_is_never_served(fields: bytes) -> None:
    async with gateway() as server:
        peer = await server.connect(b"POST /read HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n0\r\n\r\n" + GET)
        answers = await peer.rest()
        assert answers.startswith(b"HTTP/1.1 400") and answers.count(b"HTTP/1.1") == 1
        assert server.refused("framing") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"POST /read HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nabcde",
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
    ],
)
async def test_other_doubtful_lengths_end_the_connection_too(head: bytes) -> None:
    async with gateway() as server:
        peer = await server.connect(head + GET)
        answers = await peer.rest()
        assert answers.startswith(b"HTTP/1.1 400") and answers.count(b"HTTP/1.1") == 1
        assert json.loads(answers.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("path", [b"/busy", b"/read"])
async def test_chunks_that_are_no_chunks_end_the_connection_with_one_answer_at_most(path: bytes) -> None:
    """`/busy` has begun its answer: a second one would be read as a part of it."""
    async with gateway() as server:
        peer = await server.connect(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        if path == b"/busy":
            async with asyncio.timeout(PATIENCE_S):
                assert (await peer.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        peer.send(b"five\r\nabcde\r\n")
        assert (await peer.rest()).count(b"HTTP/1.1 400") == (path == b"/read")
