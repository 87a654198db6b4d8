"""Barge-in with a slow receiver: what was cancelled is not heard after its report. A prompt receiver pays nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.scenes import TEXT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SHORT = "네, 알겠습니다."


@pytest.fixture
async def oraserver(tmp_path: Path) -> AsyncIterator[OraServer]:
    async with serve(OraServer(tmp_path / "oraserver")) as server:
        yield server


def chunks(oraserver: OraServer, request: str) -> int:
    """Number of chunks of a request that OraServer has read."""
    return sum(len(u.chunks) for u in oraserver.book.utterances.values() if u.metadata.request_id == request)


async def say(client: Client, request: str, text: str, *, websocket: bool) -> None:
    await client.say(
        text, session_id="s", phone_id="p", request_id=request, use_websocket=websocket, fire_and_forget=True
    )


async def final(client: Client, request: str) -> Report:
    return await client.wait("s", request, 40)


async def test_a_slow_reader_hears_nothing_of_it_after_the_report(
    nats_server: NatsServer, oraserver: OraServer, client: Client
) -> None:
    """Chunks that it had not read when the final report was written are never read, and the next utterance is whole."""
    async with running_node(nats_server.url, oraserver.url, ("synth", "ws_bridge")):
        oraserver.misbehaviour.set(Faults(read_delay_ms=700))
        await say(client, "old", TEXT * 2, websocket=True)

        async def begun() -> bool:
            return chunks(oraserver, "old") >= 1

        await until(begun, "it has read a chunk", timeout_s=20)
        await client.cancel("s")
        await say(client, "new", SHORT, websocket=True)
        old = await final(client, "old")
        at_the_report = chunks(oraserver, "old")
        new = await final(client, "new")
        assert (old.status, new.status) == ("cancelled", "delivered")
        assert chunks(oraserver, "old") == at_the_report
        assert old.delivered_chunks <= at_the_report
        (utterance,) = (u for u in oraserver.book.utterances.values() if u.metadata.request_id == "new")
        assert utterance.complete and utterance.violations.total == 0


async def test_a_prompt_reader_keeps_its_connection(
    nats_server: NatsServer, oraserver: OraServer, client: Client
) -> None:
    async with running_node(nats_server.url, oraserver.url, ("synth", "ws_bridge")):
        for turn in range(3):
            await say(client, f"old{turn}", TEXT * 2, websocket=True)

            async def begun(request: str = f"old{turn}") -> bool:
                return chunks(oraserver, request) >= 1

            await until(begun, "it has read a chunk", timeout_s=20)
            await client.cancel("s")
            old = await final(client, f"old{turn}")
            assert old.status == "cancelled"
            assert old.delivered_chunks == chunks(oraserver, f"old{turn}"), "what was written is confirmed"
        await say(client, "new", SHORT, websocket=True)
        assert (await final(client, "new")).status == "delivered"
        assert (await oraserver.received()).connections.total == 1


async def test_a_post_that_was_sent_and_not_answered(
    nats_server: NatsServer, oraserver: OraServer, client: Client
) -> None:
    """The whole body may be in the kernel's buffers when the cancel comes. OraServer must not take it after that."""
    async with (
        running_node(nats_server.url, oraserver.url, ("synth", "http_bridge")),
        Client(nats_server.url) as client,
    ):
        oraserver.misbehaviour.set(Faults(read_delay_ms=1500))
        await say(client, "old", TEXT, websocket=False)
        await asyncio.sleep(1.0)  # synthesized and POSTed; OraServer reads it 1.5 s after it came
        await client.cancel("s")
        await say(client, "new", SHORT, websocket=False)
        assert (await final(client, "old")).status == "cancelled"
        assert (await final(client, "new")).status == "delivered"
        await asyncio.sleep(2.0)
        assert chunks(oraserver, "old") == 0
