"""The bridges deliver to the receiver of clients/oraserver-node, also when connections break or it is killed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orastream.contract.messages import Report
from services.oraserver.listing import Received
from tests.support.certificates import issued
from tests.support.node_receiver import NodeReceiver
from tests.support.processes import Logs, free_port, until
from tests.support.scenes import TEXT, Scene, reference, running_node
from tests.support.services import Stack
from tests.support.speech import sha256, utterance_of
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TOKEN = "a-token-of-the-test"
KEYS = {"sessionId", "phoneId", "requestId", "transport", "chunks", "bytes", "complete", "sha256"}


@dataclass(frozen=True, slots=True)
class Parts:
    """A node, the receiver, and the port in between, on which each test has a proxy."""

    stack: Stack
    receiver: NodeReceiver
    proxy_port: int


@pytest.fixture(scope="module", params=["plain", "tls"])
def parts(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    node_logs: Logs,
    node_receiver_build: Path,
) -> Iterator[Parts]:
    """A node whose engine is slow, with one process of each worker."""
    folder = tmp_path_factory.mktemp("node-receiver")
    certificates = issued(folder, "127.0.0.1") if request.param == "tls" else None
    receiver = NodeReceiver(node_receiver_build, folder, node_logs, token=TOKEN, certificates=certificates)
    port = free_port()
    settings: dict[str, object] = {
        "ORASERVER_WEBSOCKET_URL": f"{receiver.scheme.replace('http', 'ws')}://127.0.0.1:{port}/ws/tts",
        "ORASERVER_HTTP_URL": f"{receiver.scheme}://127.0.0.1:{port}/api/tts",
        "ORASERVER_TOKEN": TOKEN,
        "WEBSOCKET_MAX_RETRIES": 10,
    }
    if certificates is not None:
        settings["ORASERVER_CA"] = certificates.ca
    try:
        with running_node(folder, node_logs, replicas=1, TTS_ENGINE_RTF=0.2, **settings) as stack:
            yield Parts(stack, receiver, port)
    finally:
        receiver.kill()


@dataclass
class ReceiverScene(Scene):
    """A scene whose audio goes to the receiver, through the proxy."""

    receiver: NodeReceiver
    proxy: TcpProxy

    async def got(self, session: str, request: str) -> dict[str, Any] | None:
        return utterance_of(await self.receiver.received(self.id(session)), self.id(request))

    async def until_chunks(self, session: str, request: str, chunks: int = 3) -> None:
        """Wait until the receiver has so many chunks, but not all."""

        async def begun() -> bool:
            got = await self.got(session, request)
            return got is not None and got["chunks"] >= chunks

        await until(begun, f"{chunks} chunks of {request} at the receiver", timeout_s=30)
        got = await self.got(session, request)
        assert got is not None and not got["complete"], "too late: the utterance was complete before the fault"

    async def whole(self, session: str, request: str) -> Report:
        """The request is delivered, and the receiver has the engine's audio, byte for byte."""
        report = await self.final(session, request)
        assert report.status == "delivered", report
        got = await self.got(session, request)
        assert got is not None and got["complete"], got
        assert (got["sha256"], got["bytes"]) == (sha256(await reference(TEXT)), report.bytes)
        assert got["transport"] == report.transport
        return report


@pytest.fixture
async def scene(parts: Parts, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[ReceiverScene]:
    logs.update(node_logs)
    if not parts.receiver.running:
        await parts.receiver.start()
    proxy = TcpProxy(parts.receiver.port, port=parts.proxy_port)
    async with contextlib.AsyncExitStack() as started:
        await proxy.start()
        started.push_async_callback(proxy.stop)
        client = await started.enter_async_context(parts.stack.client())
        yield ReceiverScene(parts.stack, client, tmp_path.name, parts.receiver, proxy)


async def test_both_transports_deliver_the_audio_in_order(scene: ReceiverScene) -> None:
    """The list has the keys of the reference OraServer's."""
    for request, websocket in (("one", True), ("two", False), ("three", True)):
        await scene.ask("s", request, use_websocket=websocket)
    for request in ("one", "two", "three"):
        report = await scene.whole("s", request)
        assert report.transport == ("http" if request == "two" else "websocket")
    utterances = (await scene.receiver.received(scene.id("s")))["utterances"]
    assert [u["requestId"] for u in utterances] == [scene.id(request) for request in ("one", "two", "three")]
    reference_keys = {field.alias for field in Received.model_fields.values()}
    assert KEYS <= reference_keys and all(u.keys() >= KEYS for u in utterances)
    assert [u["phoneId"] for u in utterances] == ["phone-1"] * 3


async def test_connection_that_breaks_in_mid_utterance_is_resumed(scene: ReceiverScene) -> None:
    await scene.ask("s", "broken", use_websocket=True)
    for chunks in (3, 6):
        await scene.until_chunks("s", "broken", chunks)
        scene.proxy.cut()
        scene.proxy.heal()
    report = await scene.whole("s", "broken")
    assert report.reconnects >= 2, report


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
async def test_receiver_that_ends_in_mid_utterance_goes_on_after_its_restart(
    scene: ReceiverScene, end: signal.Signals
) -> None:
    await scene.ask("s", "ended", use_websocket=True)
    await scene.until_chunks("s", "ended")
    scene.receiver.signal(end)
    assert await scene.receiver.ended() == (0 if end is signal.SIGTERM else -end)
    await scene.receiver.start()
    report = await scene.whole("s", "ended")
    assert report.reconnects >= 1, report


async def test_receiver_that_is_killed_during_a_post_gets_it_again(scene: ReceiverScene) -> None:
    scene.proxy.hold()
    before = len(scene.proxy.connections)
    await scene.ask("s", "posted", use_websocket=False)

    async def posting() -> bool:
        return len(scene.proxy.connections) > before

    await until(posting, "the bridge has begun its POST", timeout_s=30)
    scene.receiver.kill()
    await scene.receiver.start()
    scene.proxy.heal()
    await scene.whole("s", "posted")


async def test_cancelled_utterance_has_no_end_and_the_next_one_is_whole(scene: ReceiverScene) -> None:
    await scene.ask("s", "cancelled", use_websocket=True)
    await scene.until_chunks("s", "cancelled")
    await scene.client.cancel(scene.id("s"))
    assert (await scene.final("s", "cancelled")).status == "cancelled"
    await scene.ask("s", "next", use_websocket=True)
    await scene.whole("s", "next")
    got = await scene.got("s", "cancelled")
    assert got is not None and not got["complete"] and got["end"] == "interrupted", got
