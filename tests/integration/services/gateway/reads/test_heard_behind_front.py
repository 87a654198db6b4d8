"""What was heard at a front door of two nodes: a client of the front asks the gateway of the session's node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from orastream.client.async_client import Client
from orastream.contract.front_door import mapping_conf
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream
from tests.support.front_door import node_of
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SOON_S = 20.0
LIMITS = ("TTS_AUDIO_MAX_BYTES", "TTS_SESSIONS_MAX_BYTES", "TTS_REPORTS_MAX_BYTES", "TTS_HEARD_MAX_BYTES")
SESSIONS = ("a", "b", "방", "s1", "s2", "s3")


@dataclass
class Front:
    """A client of the front, and the gateway of each node."""

    client: Client
    gateways: list[ServiceProcess]

    def node(self, token: str) -> JetStream:
        """JetStream of the node that has the session."""
        return JetStream(self.client.broker, Names(f"tts.{node_of(token)}"))


@pytest.fixture
async def front(tmp_path: Path, logs: Logs) -> AsyncIterator[Front]:
    config = tmp_path / "front.conf"
    config.write_text(mapping_conf(NAMES, 2))
    server = NatsServer(tmp_path, logs, "-c", str(config))
    await server.start()
    stack = Stack(server, tmp_path, logs, **dict.fromkeys((*LIMITS, "TTS_TEXTS_MAX_BYTES"), 64 << 20))
    try:
        for number in range(2):
            await stack.start("gateway", TTS_PREFIX=f"tts.{number}")
        async with Client(server.url) as client:
            yield Front(client, stack["gateway"])
    finally:
        stack.kill()
        server.kill()


async def test_records_and_waiting_cancels_go_to_the_node_of_the_session(front: Front) -> None:
    assert {node_of(session) for session in SESSIONS if session.isascii()} == {0, 1}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SOON_S)) as http:
        for session in ("a", "b", "s1", "s2"):
            js = front.node(session)
            await put_report(js, session, "r", 1, "delivering")
            await put_record(js, a_record(session, "r", 1, done=False))

            async def answer(cancel: int, js: JetStream = js, session: str = session) -> None:
                await put_report(js, session, "r", 1, "cancelled")
                await put_record(js, a_record(session, "r", 1, cancel_seq=cancel))

            async with at_each_cancel(js, answer), asyncio.timeout(SOON_S):
                assert await front.client.heard(session, "r") == a_record(session, "r", 1, done=False)
                (heard,) = await front.client.cancel(session, wait=True, timeout_s=60)
                assert heard.done and heard == await front.client.heard(session, "r")
            for gateway in front.gateways:  # any gateway serves any session
                async with http.get(f"{gateway.url}/api/heard/{session}/r") as found:
                    assert (found.status, await found.json()) == (200, heard.to_map())
                async with http.post(f"{gateway.url}/api/cancel/{session}?wait=20") as cut:
                    later = await cut.json()
                    assert cut.status == 200 and later["cancelSeq"] > heard.cancel_seq
                    assert later["heard"] == [], "it was cut before"
