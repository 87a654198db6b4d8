"""ws_bridge ends, or loses NATS, while an utterance is on its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from orastream import Client
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.scenes import TEXT
from tests.support.services import ServiceProcess, Stack
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class Receiver:
    """An OraServer that reads while `reads` is set, and keeps how its connection ended."""

    def __init__(self) -> None:
        self.url = ""
        self.reads = asyncio.Event()
        self.reads.set()
        self.chunks = 0
        self.close_code: int | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with serve(self._handle, "127.0.0.1", 0, max_queue=1) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws/tts"
            yield

    async def _handle(self, connection: ServerConnection) -> None:
        try:
            while True:
                await self.reads.wait()
                self.chunks += "chunkIndex" in json.loads(await connection.recv())
        except ConnectionClosed as exc:
            self.close_code = exc.rcvd.code if exc.rcvd is not None else 1006


def logged_at(process: ServiceProcess, event: str) -> float:
    """When the process first logged an event that begins so, in unix seconds."""
    lines = (json.loads(line) for line in process.text().splitlines() if line.startswith("{"))
    return next(
        datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines if line["event"].startswith(event)
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with receiver.running():
        yield receiver


@pytest.fixture
async def nats_proxy(nats_server: NatsServer) -> AsyncIterator[TcpProxy]:
    """Between the bridge and NATS."""
    proxy = TcpProxy(nats_server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


@contextlib.asynccontextmanager
async def speaking(
    server: NatsServer, receiver: Receiver, folder: Path, logs: Logs, nats_url: str
) -> AsyncIterator[ServiceProcess]:
    """A bridge that delivers a long utterance: some of its chunks have arrived."""
    stack = Stack(server, folder, logs, ORASERVER_WEBSOCKET_URL=receiver.url, TTS_AUDIO_MAX_BYTES=64 << 20)
    try:
        await stack.start("synth", TTS_ENGINE_RTF=0.5)
        (bridge,) = await stack.start("ws_bridge", NATS_URL=nats_url)
        async with Client(server.url) as client:
            await client.say(TEXT, session_id="s", phone_id="p", fire_and_forget=True)

        async def begun() -> bool:
            return receiver.chunks >= 3

        await until(begun, "some chunks", timeout_s=20)
        yield bridge
    finally:
        stack.kill()


async def test_nothing_arrives_of_what_a_draining_bridge_could_not_confirm(
    nats_server: NatsServer, receiver: Receiver, tmp_path: Path, logs: Logs
) -> None:
    """The next owner does not know this connection: it may cancel the utterance before this audio would arrive."""
    async with speaking(nats_server, receiver, tmp_path, logs, nats_server.url) as bridge:
        receiver.reads.clear()
        await asyncio.sleep(1)
        assert await bridge.stop() == 0
        receiver.reads.set()

        async def ended() -> bool:
            return receiver.close_code is not None

        await until(ended, "the connection ends", timeout_s=10)
        assert receiver.close_code == 1006, "a close frame came after audio that was unconfirmed"


async def test_nothing_arrives_of_what_was_on_its_way_when_a_bridge_is_called_gone(
    nats_server: NatsServer, nats_proxy: TcpProxy, receiver: Receiver, tmp_path: Path, logs: Logs
) -> None:
    """On one server that is 0.4 s after its connection broke. Its lease lasts for 1.75 s or more."""
    url = f"nats://127.0.0.1:{nats_proxy.port}"
    async with speaking(nats_server, receiver, tmp_path, logs, url) as bridge:
        receiver.reads.clear()
        await asyncio.sleep(0.5)
        nats_proxy.cut()

        async def cut() -> bool:
            return "link to OraServer cut" in bridge.text()

        await until(cut, "the link is cut", timeout_s=20)
        lost_at, cut_at = (logged_at(bridge, event) for event in ("NATS connection lost", "link to OraServer cut"))
        assert 0.35 < cut_at - lost_at < 1.5
        receiver.reads.set()

        async def ended() -> bool:
            return receiver.close_code is not None

        await until(ended, "the connection was reset", timeout_s=10)
        assert receiver.close_code == 1006


async def test_a_bridge_that_is_reconnecting_when_its_drain_begins_goes_on_when_it_is_connected(
    nats_server: NatsServer, nats_proxy: TcpProxy, receiver: Receiver, tmp_path: Path, logs: Logs
) -> None:
    url = f"nats://127.0.0.1:{nats_proxy.port}"
    async with speaking(nats_server, receiver, tmp_path, logs, url) as bridge:
        nats_proxy.cut()
        await asyncio.sleep(0.1)
        bridge.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        before = receiver.chunks
        nats_proxy.heal()

        async def goes_on() -> bool:
            return receiver.chunks > before + 2

        await until(goes_on, "the utterance goes on during the drain", timeout_s=5)
        assert await bridge.ended(20) == 0
