"""ws_bridge delivers over protocol v2 to the receiver of clients/oraserver-node, also when it is killed in between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_receiver import NodeReceiver
from tests.support.processes import Logs, free_port, until
from tests.support.scenes import TEXT, Scene, reference, running_node
from tests.support.services import Stack
from tests.support.speech import sha256, utterance_of
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TOKEN = "a-token-of-the-test"
BEGUN_BYTES = 60_000


@dataclass(frozen=True, slots=True)
class Parts:
    """A node, the receiver, and the port in between, on which each test has a proxy."""

    stack: Stack
    receiver: NodeReceiver
    proxy_port: int


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs, node_receiver_build: Path) -> Iterator[Parts]:
    """A node whose engine is slow."""
    folder = tmp_path_factory.mktemp("node-receiver-v2")
    receiver = NodeReceiver(node_receiver_build, folder, node_logs, token=TOKEN)
    port = free_port()
    settings: dict[str, object] = {
        "ORASERVER_WEBSOCKET_URL": f"ws://127.0.0.1:{port}/ws/tts",
        "ORASERVER_TOKEN": TOKEN,
        "ORASERVER_PROTOCOL": "v2",
        "WEBSOCKET_MAX_RETRIES": 10,
    }
    try:
        with running_node(folder, node_logs, replicas=1, TTS_ENGINE_RTF=0.1, **settings) as stack:
            yield Parts(stack, receiver, port)
    finally:
        receiver.kill()


def streamed(wav: bytes) -> bytes:
    """The file as it is streamed: the sizes in its header are not known yet."""
    return wav[:4] + b"\xff" * 4 + wav[8:40] + b"\xff" * 4 + wav[44:]


@dataclass
class StreamScene(Scene):
    """A scene whose audio goes to the receiver, through the proxy."""

    receiver: NodeReceiver
    proxy: TcpProxy

    async def got(self, request: str) -> dict[str, Any] | None:
        return utterance_of(await self.receiver.received(self.id("s")), self.id(request))

    async def begin(self, request: str) -> None:
        """Ask, and wait until the receiver has some of the audio, but not all."""
        await self.ask("s", request, use_websocket=True)

        async def begun() -> bool:
            got = await self.got(request)
            return got is not None and got["bytes"] >= BEGUN_BYTES

        await until(begun, f"the receiver has some of {request}", timeout_s=30)
        got = await self.got(request)
        assert got is not None and not got["complete"], "too late: the utterance was complete before the fault"

    async def whole(self, request: str) -> None:
        """The request is delivered, and the receiver has the engine's audio, byte for byte."""
        report = await self.final("s", request)
        assert report.status == "delivered", report
        got = await self.got(request)
        assert got is not None and got["complete"], got
        assert (got["sha256"], got["bytes"]) == (sha256(streamed(await reference(TEXT))), report.bytes)


@pytest.fixture
async def scene(parts: Parts, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[StreamScene]:
    logs.update(node_logs)
    if not parts.receiver.running:
        await parts.receiver.start()
    proxy = TcpProxy(parts.receiver.port, port=parts.proxy_port)
    async with contextlib.AsyncExitStack() as started:
        await proxy.start()
        started.push_async_callback(proxy.stop)
        client = await started.enter_async_context(parts.stack.client())
        yield StreamScene(parts.stack, client, tmp_path.name, parts.receiver, proxy)


async def test_a_connection_that_breaks_is_resumed_at_the_byte(scene: StreamScene) -> None:
    await scene.begin("broken")
    scene.proxy.cut()
    scene.proxy.heal()
    await scene.whole("broken")


async def test_a_receiver_that_is_killed_goes_on_after_its_restart(scene: StreamScene) -> None:
    await scene.begin("killed")
    scene.receiver.kill()
    await scene.receiver.start()
    await scene.whole("killed")


async def test_after_a_cancel_the_next_utterance_is_whole(scene: StreamScene) -> None:
    await scene.begin("cancelled")
    await scene.client.cancel(scene.id("s"))
    assert (await scene.final("s", "cancelled")).status == "cancelled"
    await scene.ask("s", "next", use_websocket=True)
    await scene.whole("next")
    got = await scene.got("cancelled")
    assert got is not None and not got["complete"] and got["end"] == "cancelled", got
