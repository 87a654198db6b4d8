"""DELIVERY_FALLBACK=http: what WebSocket cannot deliver is sent as a file, once and in order, before it has failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from orastream.client.async_client import Client
from tests.support.processes import Logs, free_port, until
from tests.support.scenes import TEXT, Scene, running_node
from tests.support.services import ServiceProcess, Stack
from tests.support.speech import utterance_of
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def websocket_port() -> int:
    """The port at which the bridges look for OraServer's WebSocket; nothing listens there, unless a test does."""
    return free_port()


@pytest.fixture(scope="module")
def fallback_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs, websocket_port: int) -> Iterator[Stack]:
    """A node whose engine is slow, with two ws_bridges."""
    folder = tmp_path_factory.mktemp("fallback-node")
    settings = {"DELIVERY_FALLBACK": "http", "ORASERVER_WEBSOCKET_URL": f"ws://127.0.0.1:{websocket_port}/ws/tts"}
    with running_node(folder, node_logs, TTS_ENGINE_RTF=0.1, WEBSOCKET_MAX_RETRIES=1, **settings) as stack:
        yield stack


@pytest_asyncio.fixture
async def scene(fallback_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """The scene of one test on the shared node, with its own ids."""
    logs.update(node_logs)
    for process in (p for siblings in fallback_node.processes.values() for p in siblings if not p.running):
        await process.start()
    await fallback_node.misbehave()
    async with Client(fallback_node.nats_server.url) as client:
        yield Scene(fallback_node, client, tmp_path.name)


async def by_post(scene: Scene, session: str, request: str) -> None:
    """The request is delivered, over HTTP, once, with the engine's audio."""
    report = await scene.delivered(session, request)
    assert (report.transport, report.fallback, report.underruns) == ("websocket", "http", 0), report
    got = utterance_of(await scene.stack.received(), scene.id(request))
    assert got is not None and got["transport"] == "http", got


async def busy_bridge(scene: Scene) -> ServiceProcess:
    """The ws_bridge that delivers now."""
    for process in scene.stack["ws_bridge"]:
        sessions = await process.metric("orastream_ws_bridge_sessions")
        if sessions > await process.metric("orastream_ws_bridge_sessions_without_work"):
            return process
    raise AssertionError("no ws_bridge delivers anything")


async def test_unreachable_websocket_is_replaced_by_post_in_order(scene: Scene) -> None:
    for request in ("first", "second"):
        await scene.ask("s", request, use_websocket=True)
    for request in ("first", "second"):
        await by_post(scene, "s", request)
    received = await scene.stack.received()
    first, second = (utterance_of(received, scene.id(name)) for name in ("first", "second"))
    assert first is not None and second is not None and first["completedAt"] <= second["firstChunkAt"]


async def test_utterance_that_broke_off_fails(scene: Scene, websocket_port: int) -> None:
    """A part of it was heard: the whole file would repeat that part without anyone having asked for it."""
    proxy = TcpProxy(scene.stack.oraserver_port, port=websocket_port)
    await proxy.start()
    try:
        await scene.ask("s", "broken", use_websocket=True)
        await scene.until_received("broken")
    finally:
        await proxy.stop()
    report = await scene.final("s", "broken")
    assert report.error is not None and report.error.code == "oraserver_unreachable", report
    assert report.fallback is None


async def test_websocket_is_used_again_when_it_works(scene: Scene, websocket_port: int) -> None:
    proxy = TcpProxy(scene.stack.oraserver_port, port=websocket_port)
    await proxy.start()
    try:
        await scene.ask("s", "again", use_websocket=True)
        report = await scene.delivered("s", "again")
        assert (report.transport, report.fallback) == ("websocket", None), report
    finally:
        await proxy.stop()


async def until_posting(scene: Scene, session: str, request: str) -> None:
    """Wait until the bridge has stored that it delivers over the fallback, and all audio is there."""
    await scene.until_stored(session, request)

    async def posting() -> bool:
        report = await scene.client.report(scene.id(session), scene.id(request))
        return report is not None and report.fallback == "http"

    await until(posting, f"{request} is delivered over the fallback", timeout_s=20)


async def test_cancelled_utterance_is_not_posted(scene: Scene) -> None:
    """OraServer reads the POST late, and the cancel comes before that."""
    await scene.stack.misbehave(read_delay_ms=3_000)
    await scene.ask("s", "cancelled", use_websocket=True)
    await until_posting(scene, "s", "cancelled")
    await scene.client.cancel(scene.id("s"), scene.id("cancelled"))
    report = await scene.final("s", "cancelled")
    assert report.status == "cancelled", report
    await scene.stack.misbehave()
    await scene.ask("s", "after", use_websocket=True)
    await by_post(scene, "s", "after")
    got = utterance_of(await scene.stack.received(), scene.id("cancelled"))
    assert got is None or not got["complete"], got


async def test_other_bridge_posts_what_a_dead_one_has_begun_to_post(scene: Scene, websocket_port: int) -> None:
    """OraServer takes the file late. Meanwhile WebSocket works again: the file is still sent, and no stream."""
    await scene.stack.misbehave(read_delay_ms=3_000)
    await scene.ask("s", "one", use_websocket=True)
    await until_posting(scene, "s", "one")
    proxy = TcpProxy(scene.stack.oraserver_port, port=websocket_port)
    await proxy.start()
    try:
        busy = await busy_bridge(scene)
        busy.kill()
        await scene.stack.misbehave()
        await by_post(scene, "s", "one")
    finally:
        await proxy.stop()


async def test_part_that_was_heard_before_a_takeover_is_not_posted(scene: Scene, websocket_port: int) -> None:
    """The first bridge dies in mid-utterance, and WebSocket is gone for the second one: posting it would repeat it."""
    proxy = TcpProxy(scene.stack.oraserver_port, port=websocket_port)
    await proxy.start()
    try:
        await scene.ask("s", "heard", TEXT * 2, use_websocket=True)
        await scene.until_received("heard")
        busy = await busy_bridge(scene)
    finally:
        await proxy.stop()
    busy.kill()
    report = await scene.final("s", "heard")
    assert report.error is not None and report.error.code == "oraserver_unreachable", report


async def test_other_bridge_goes_on_when_one_dies_during_the_fallback(scene: Scene) -> None:
    for request in ("one", "two"):
        await scene.ask("s", request, TEXT * 2, use_websocket=True)
    await scene.until_synthesising("s", "one")
    (await busy_bridge(scene)).kill()
    for request in ("one", "two"):
        report = await scene.final("s", request)
        assert (report.status, report.fallback) == ("delivered", "http"), report
        await scene.check(request, TEXT * 2)
