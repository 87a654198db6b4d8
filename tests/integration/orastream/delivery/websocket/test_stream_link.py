"""Audio over a connection of protocol v2, with and without TLS, on both event loops."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    StreamEnd,
    unpack_from_bridge,
)
from orastream.contract.oraserver.from_server import ServerHello, StreamAck, StreamOpened
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.multiplex import Multiplex
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.stream_terms import SendingLimits, StreamRequest
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.delivery.websocket.pool import OraServerPool, PoolSettings
from orastream.delivery.websocket.stream_connection import StreamConnection
from orastream.delivery.websocket.stream_link import StreamLink
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from tests.support.certificates import Authority

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

START = AudioStart(5, "pcm16", 22_050, 1, "espeak", "ko-KR")
CREDIT = 200_000
CHUNKS = [bytes([i]) * 30_001 for i in range(40)]


async def receive(connection: ServerConnection, file: bytearray) -> None:
    """Store the bytes of one stream in order, and confirm each frame."""
    await connection.send(ServerHello(2, CREDIT, 10, ("pcm16",), 1000).pack())
    seen = 0
    async for frame in connection:
        assert isinstance(frame, bytes)
        seen += 1
        message = unpack_from_bridge(frame)
        if isinstance(message, OpenStream):
            await connection.send(StreamOpened(message.stream, len(file), len(file) + CREDIT).pack())
        elif isinstance(message, AudioRange):
            assert message.at <= len(file) and message.at + len(message.data) <= len(file) + CREDIT
            file += message.data[len(file) - message.at :]
            await connection.send(StreamAck(message.stream, len(file), len(file) + CREDIT, seen).pack())
        elif isinstance(message, StreamEnd):
            await connection.send(StreamAck(message.stream, len(file), len(file), seen, size=message.size).pack())


async def send_all(link: StreamLink, woken: asyncio.Event) -> None:
    """Write the chunks as a delivery does, and wait until they are stored."""

    async def until(ready: Callable[[], bool]) -> None:
        while not ready():
            assert link.lost is None, link.lost
            woken.clear()
            await woken.wait()

    link.open(StreamRequest("s", "p", "r", 5, 7, START, fresh=True, paced_until=float("-inf")), Listener())
    offset = 0
    for index, data in enumerate(CHUNKS):
        await until(lambda: link.room)
        link.write(START, AudioChunk(1, index, 0, 0, data, offset=offset))
        offset += len(data)
    link.complete(START, AudioEnd(1, "complete", len(CHUNKS), offset, 27.0))
    await link.confirm(lambda: True)


@pytest.mark.parametrize("loop", [asyncio, uvloop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_file_arrives_whole(tmp_path: Path, loop: ModuleType, tls: bool) -> None:
    authority = Authority(tmp_path) if tls else None

    async def deliver() -> bytes:
        file = bytearray()
        context = authority.server_context(authority.issue("server")) if authority else None
        served = serve(
            lambda c: receive(c, file), "127.0.0.1", 0, ssl=context, select_subprotocol=lambda *_: "orastream.v2"
        )  # type: ignore[arg-type,return-value]
        async with served as listening, asyncio.timeout(30):
            port = next(iter(listening.sockets)).getsockname()[1]
            files = ClientTls(TlsFiles(ORASERVER, authority.ca if authority else None, None, None))
            url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/ws"
            pool = OraServerPool(PoolSettings(url, BridgeHello(2, "n", "b", "s"), client_tls=files))
            woken = asyncio.Event()
            link = await pool.link("s", "p", woken.set)
            assert isinstance(link, StreamLink)
            await send_all(link, woken)
            await link.close()
            await pool.close()
        return bytes(file)

    run: Callable[[Coroutine[Any, Any, bytes]], bytes] = loop.run
    assert run(deliver()) == b"".join(CHUNKS)


async def test_a_cancel_of_what_plays_lets_the_next_utterance_go_on() -> None:
    """It waits until the listener has played most of an utterance that was sent as a whole, and is cancelled then."""
    file = bytearray()
    served = serve(lambda c: receive(c, file), "127.0.0.1", 0, select_subprotocol=lambda *_: "orastream.v2")  # type: ignore[arg-type,return-value]
    async with served as listening, asyncio.timeout(20):
        port = next(iter(listening.sockets)).getsockname()[1]
        pool = OraServerPool(PoolSettings(f"ws://127.0.0.1:{port}/ws", BridgeHello(2, "n", "b", "s")))
        listener, woken = Listener(), asyncio.Event()
        listener.sent(4, 0, 1 << 20, 60.0, asyncio.get_running_loop().time())
        link = await pool.link("s", "p", woken.set)
        assert isinstance(link, StreamLink)
        link.open(StreamRequest("s", "p", "r", 5, 7, START, fresh=True), listener)
        link.write(START, AudioChunk(1, 0, 0, 0, CHUNKS[0], offset=0))
        await asyncio.sleep(0.3)
        assert not file
        link.cancel(CancelUtterances("s", 7, seq=4), listener)
        while len(file) < len(CHUNKS[0]):
            await asyncio.sleep(0.01)
        await link.close()
        await pool.close()


async def test_an_utterance_that_an_unknown_bridge_has_begun_goes_on_over_the_same_stream() -> None:
    """The bridge believes that nobody has sent any of it; the link is not lost."""
    whole = b"".join(CHUNKS)
    file = bytearray(whole[:500_000])  # more than the credit of a fresh stream
    served = serve(lambda c: receive(c, file), "127.0.0.1", 0, select_subprotocol=lambda *_: "orastream.v2")  # type: ignore[arg-type,return-value]
    async with served as listening, asyncio.timeout(20):
        port = next(iter(listening.sockets)).getsockname()[1]
        pool = OraServerPool(PoolSettings(f"ws://127.0.0.1:{port}/ws", BridgeHello(2, "n", "b", "s")))
        woken = asyncio.Event()
        link = await pool.link("s", "p", woken.set)
        assert isinstance(link, StreamLink)
        await send_all(link, woken)
        assert link.lost is None and file == whole
        await link.close()
        await pool.close()


class _CountingMultiplex(Multiplex):
    """Counts how often its connection looks at the time."""

    __slots__ = ("checks",)

    def check(self, now: float) -> None:
        self.checks += 1
        super().check(now)


async def test_a_full_socket_and_a_listener_that_waits_do_not_make_the_timer_spin() -> None:
    stalled = asyncio.Event()

    async def stall(connection: ServerConnection) -> None:
        await connection.send(ServerHello(2, 1 << 26, 10, ("pcm16",), 1000).pack())
        connection.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's
        await stalled.wait()

    served = serve(stall, "127.0.0.1", 0, select_subprotocol=lambda *_: "orastream.v2")  # type: ignore[arg-type,return-value]
    async with served as listening, asyncio.timeout(20):
        port = next(iter(listening.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ws"
        connection = await WebSocketConnection.open(url, {}, lambda: None, subprotocols=("orastream.v2",))
        multiplex = _CountingMultiplex(BridgeHello(2, "n", "b", "s"), itertools.count(1), SendingLimits(max_lead_s=1.0))
        multiplex.checks = 0
        shared = StreamConnection(connection, multiplex, lambda _bytes: None)
        await shared.greeted()
        now = asyncio.get_running_loop().time()
        waits, fills = (
            OutStream(StreamRequest(name, "p", "r", 5, 7, START, fresh=True, **more), Listener(), shared.limits, 44_100)  # type: ignore[arg-type]
            for name, more in (("waits", {}), ("fills", {"paced_until": now}))
        )
        for stream in (waits, fills):
            shared.add(stream, lambda: None)
            stream.offer(0, bytes(5 << 20 if stream is fills else 88_200), 0)
            shared.offered(stream)
        assert not connection.room and fills.unsent_bytes and waits.unsent_bytes
        at = waits.resumes_at(now)
        assert at is not None and at < now + 1.1
        multiplex.checks = 0
        await asyncio.sleep(2.2)
        assert 1 <= multiplex.checks <= 4, "one each second"
        stalled.set()
        shared.close()
