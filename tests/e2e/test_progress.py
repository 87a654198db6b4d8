"""Live progress over faults: a bridge that is killed, and one that drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.contract.delivery_progress import DeliveryProgress
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TEXT = "이 문장은 끝까지 들으면 몇 초가 걸리는 긴 문장입니다. "


@pytest.fixture
async def nodes(tmp_path: Path, logs: Logs) -> AsyncIterator[Stack]:
    """A nats-server, an OraServer, a synth that is slower than most, and two bridges."""
    server = NatsServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, TTS_PHRASE_CACHE="off")
    try:
        await stack.start("oraserver")
        await stack.start("synth", TTS_ENGINE_RTF=0.5)
        await stack.start("ws_bridge", replicas=2)
        yield stack
    finally:
        stack.kill()
        server.kill()


async def owner(stack: Stack) -> ServiceProcess:
    """The bridge that owns the only session."""
    for bridge in stack["ws_bridge"]:
        if await bridge.metric("orastream_ws_bridge_sessions"):
            return bridge
    raise AssertionError("no bridge owns the session")


async def test_progress_goes_on_at_the_next_bridge(nodes: Stack) -> None:
    async with nodes.client() as client:
        await client.say(TEXT * 6, session_id="s", phone_id="p", request_id="r", transport="websocket")
        before: list[DeliveryProgress] = []
        after: list[DeliveryProgress] = []
        async with asyncio.timeout(120):
            async for one in client.progress("s", "r"):
                (after if len(before) >= 6 else before).append(one)
                if len(before) == 6 and not after:
                    (await owner(nodes)).kill()
        report = await client.report("s", "r")
    assert report is not None and report.status == "delivered"
    assert len(after) > 6 and after[-1].done
    assert after[-1].sent_ms == after[-1].total_ms == round(report.audio_seconds * 1000)
    assert after[-1].request_seq == before[0].request_seq == report.request_seq


async def test_of_a_bridge_that_drains_the_watcher_ends(nodes: Stack) -> None:
    """All of it was delivered, and its phone plays: no other bridge goes on with it."""
    async with nodes.client() as client:
        await client.say(TEXT * 3, session_id="s", phone_id="p", request_id="r", transport="websocket")
        got: list[DeliveryProgress] = []
        now, stopped_at = asyncio.get_running_loop().time, None
        async with asyncio.timeout(90):
            async for one in client.progress("s", "r"):
                got.append(one)
                report = await client.report("s", "r")
                if report is not None and report.final and stopped_at is None:
                    stopped_at = now()
                    await asyncio.gather(*(bridge.stop() for bridge in nodes["ws_bridge"]))
        assert stopped_at is not None and now() - stopped_at < 20
        assert got and not got[-1].done
