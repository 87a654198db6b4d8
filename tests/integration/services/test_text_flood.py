"""A caller who may publish pieces of one session sends them without end: the node and other callers go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import nats
import pytest
from nats.aio.client import Client as NatsClient

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract.errors import StreamFull
from orastream.contract.messages import Report
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from orastream.service.lifecycle import Process
from services.synth.text import text_fate, text_sweep
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

USERS = """
jetstream { max_file_store: 512MB }
authorization { users: [
  { user: node, password: node }
  { user: flooder, password: flooder
    permissions: { publish: ["tts.text.flood.*"], subscribe: ["_INBOX.flooder.>"] } }
] }
"""
SIZE = 16 << 20
ORPHAN_S = 2.0
NODE = ("synth", "ws_bridge", "http_bridge", "gateway")


async def flood(connection: NatsClient, stop: asyncio.Event) -> None:
    """Publish the largest pieces that are stored, in texts of 20 pieces, until `stop`: 14 MB a second at most."""
    number = 0
    while not stop.is_set():
        number += 1
        for _ in range(20):
            await connection.publish(f"tts.text.flood.{number}", b"x" * 70_000)
        await connection.flush(10)
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def flooding(server: NatsServer) -> AsyncIterator[None]:
    url = server.url.replace("nats://", "nats://flooder:flooder@")
    connection = await nats.connect(url, allow_reconnect=False, inbox_prefix=b"_INBOX.flooder")
    stop = asyncio.Event()
    task = asyncio.create_task(flood(connection, stop))
    try:
        yield
        assert not task.done(), task
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await task
        await connection.close()


async def said(client: Client, session: str) -> Report:
    report = await client.say(
        "안녕하세요.", session_id=session, phone_id="p", transport="none", fire_and_forget=False, wait_s=30
    )
    assert isinstance(report, Report)
    return report


async def written(client: Client, session: str, idle_s: float) -> Report:
    """The report of a text in three pieces."""
    utterance = client.utterance(session_id=session, phone_id="p", transport="none", idle_seconds=idle_s)
    async with utterance:
        for piece in ("안녕", "하세요. ", "반갑습니다."):
            await utterance.write(piece)
    return await utterance.wait(30)


async def all_ready(node: dict[str, Process]) -> None:
    lacking = {name: await process.lacking() for name, process in node.items()}
    assert set(lacking.values()) == {None}, lacking


async def test_gateway_answers_overloaded_while_the_stream_of_requests_is_full(
    nats_server: NatsServer, broker: Broker
) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(audio_max_bytes=1 << 20, sessions_max_bytes=1 << 20)).ensure()
    with pytest.raises(StreamFull):
        for number in range(1_000):
            await js.store(NAMES.request(f"s{number}"), b"x" * 1_000)
    async with (
        running_node(nats_server.url, "http://127.0.0.1:1", ("gateway",)) as node,
        aiohttp.ClientSession() as http,
    ):
        url = f"http://127.0.0.1:{node['gateway'].ports['gateway_port']}/api/convert-tts/"
        body = {"text": "안녕하세요. " * 100, "sessionId": "s", "phoneId": "p", "requestId": "r"}
        async with http.post(url, json=body, timeout=aiohttp.ClientTimeout(20)) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            error = (await answer.json())["error"]
        assert (error["code"], error["retryable"]) == ("overloaded", True)
        assert "the node has no room" in error["message"]
        await all_ready(node)


async def test_node_and_other_callers_go_on_in_a_flood_of_text(
    tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("ORPHAN_S", 4 * ORPHAN_S), ("PRESSED_ORPHAN_S", ORPHAN_S)):
        monkeypatch.setattr(text_fate, name, seconds)
    monkeypatch.setattr(text_sweep, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(text_sweep, "SWEEP_EVERY_S", 1.0)
    config = tmp_path / "users.conf"
    config.write_text(USERS)
    server = NatsServer(tmp_path, logs, "-c", str(config))
    url = server.url.replace("nats://", "nats://node:node@")
    try:
        await server.start()
        async with Broker(url, name="test", connect_timeout_s=5) as broker:
            js = JetStream(broker)
            limits = StreamLimits(
                audio_max_bytes=64 << 20, sessions_max_bytes=SIZE, reports_max_bytes=SIZE, texts_max_bytes=SIZE
            )
            await StreamKeeper(js, limits).ensure()
            client = Client(broker)

            async def held() -> int:
                return (await management.fill(js, NAMES.texts_stream)).stored_bytes

            async def is_full() -> bool:
                return await held() > SIZE - 100_000

            async with running_node(url, "http://127.0.0.1:1", NODE) as node:
                assert (await written(client, "before", 10)).status == "delivered"
                async with flooding(server):
                    await until(is_full, "the flood fills the stream", timeout_s=20)
                    assert (await said(client, "during")).status == "delivered"
                    report = await written(client, "during", 1)
                    if report.status != "delivered":  # it had luck, just after a sweep
                        assert report.error is not None and report.error.code == "text_stalled"
                        assert report.error.retryable
                    await all_ready(node)
                    assert await held() <= SIZE

                async def has_room() -> bool:
                    return await held() < SIZE / 2

                await until(has_room, "the pieces without a request are deleted", timeout_s=5 * ORPHAN_S)
                assert (await written(client, "after", 10)).status == "delivered"
                await all_ready(node)

                async def is_empty() -> bool:
                    return await held() == 0

                await until(is_empty, "nothing of the flood is left", timeout_s=12 * ORPHAN_S)
    finally:
        server.kill()
