"""Callers in an account of their own read reports and audio through the gateway, as others do from JetStream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orastream.broker import Headers
from orastream.client import redelivery
from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import InvalidRequest, NodeUnavailable, UtteranceEnded, WaitTimeout
from orastream.contract.messages import Report, Status
from orastream.contract.reads import MAX_PAGE_BYTES, NEXT, ReadQuery
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from services.gateway.reads.service import MAX_OF_ONE_CALLER
from tests.support.asyncapi import NODE as ASYNCAPI
from tests.support.asyncapi import problems
from tests.support.names import NAMES
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PATIENCE_S = 20
"""Deadline of what takes less than a second."""


@dataclass
class Node:
    """A server with accounts, a gateway on it, a connection of the node and a client of the callers."""

    server: AccountServer
    stack: Stack
    js: JetStream
    client: Client

    async def report(self, session: str, request: str, status: Status, request_seq: int = 1) -> None:
        """Store a report, as a bridge does."""
        report = Report(request_id=request, session_id=session, request_seq=request_seq, status=status)
        await self.js.store(NAMES.put_report(session, request), report.encode("json"))

    async def put(self, session: str, request: str, *messages: AudioStart | AudioChunk | AudioEnd) -> None:
        """Store audio, as synth does."""
        for message in messages:
            await self.js.store(NAMES.put_audio(session, request), message.pack())


@pytest.fixture
async def node(tmp_path: Path, logs: Logs) -> AsyncIterator[Node]:
    server = AccountServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, credentials=server.env, TTS_AUDIO_MAX_BYTES=64 << 20)
    try:
        async with server.client("operator") as inside, server.client("llm") as client:
            js = JetStream(inside.broker)
            limits = StreamLimits(audio_max_bytes=64 << 20, callers=("CALLERS",))
            await StreamKeeper(js, limits, change=True).ensure()
            await stack.start("gateway")
            yield Node(server, stack, js, client)
    finally:
        stack.kill()
        server.kill()


START = AudioStart(1, "pcm16", 22_050, 1, "espeak", "ko")


def chunk(attempt: int, index: int, audio: bytes = b"ab") -> AudioChunk:
    return AudioChunk(attempt, index, index * 100, 0, audio)


async def test_report_of_a_request_from_queued_to_final(node: Node) -> None:
    client = node.client
    assert await client.report("s", "unknown") is None
    accepted = await client.say("안녕하세요", session_id="s", phone_id="p", request_id="r", transport="none")
    queued = await client.report("s", "r")
    assert queued is not None and (queued.status, queued.phone_id) == ("queued", "p")
    with pytest.raises(WaitTimeout):
        await client.wait("s", "r", 0.5)
    waiting = asyncio.create_task(client.wait("s", "r", PATIENCE_S))
    await asyncio.sleep(0.3)
    await node.report("s", "r", "synthesizing")
    await node.report("s", "r", "delivered", accepted.request_seq)
    assert (await waiting).status == "delivered"
    assert (await client.wait("s", "r", PATIENCE_S)).status == "delivered"  # now it is stored already


async def test_odd_ids_are_read_by_their_tokens(node: Node) -> None:
    await node.client.say("안녕", session_id="방 1/2", phone_id="p", request_id="요청.1", transport="none")
    report = await node.client.report("방 1/2", "요청.1")
    assert report is not None and (report.session_id, report.request_id) == ("방 1/2", "요청.1")


async def test_reports_of_a_session_live_and_stored(node: Node) -> None:
    await node.report("s", "old", "failed")
    await node.report("other", "old", "failed")
    live = node.client.reports("s")
    first = asyncio.create_task(anext(live))
    await asyncio.sleep(0.5)
    await node.report("other", "new", "delivered")
    await node.report("s", "new", "delivered")
    async with asyncio.timeout(PATIENCE_S):
        assert (await first).request_id == "new"
    await live.aclose()
    async with contextlib.aclosing(node.client.reports(history=True)) as everything, asyncio.timeout(PATIENCE_S):
        seen = [(await anext(everything)).session_id for _ in range(4)]
    assert sorted(seen) == ["other", "other", "s", "s"]
    assert {report.request_id for report in await redelivery.reports_of(node.client, "s")} == {"old", "new"}


async def test_audio_is_complete_and_in_order_while_it_is_made(node: Node) -> None:
    await node.put("s", "r", START)
    first = await node.js.last(NAMES.audio_stream, NAMES.audio("s", "r"))
    assert first is not None
    attempt = first.sequence
    audio = node.client.audio("s", "r", 1)
    got: list[object] = []

    async def read() -> None:
        async for message in audio:
            got.append(message)

    reading = asyncio.create_task(read())
    big = b"x" * (256 << 10)
    count = 3 * MAX_PAGE_BYTES // len(big)
    for index in range(count):
        await node.put("s", "r", chunk(attempt, index, big))
        await asyncio.sleep(0.02)
    await node.put("s", "r", AudioEnd(attempt, "complete", count, count * len(big), 1.0))
    async with asyncio.timeout(PATIENCE_S):
        await reading
    assert isinstance(got[0], AudioStart) and isinstance(got[-1], AudioEnd)
    assert [m.index for m in got if isinstance(m, AudioChunk)] == list(range(count))


async def test_text_stream_ends_when_its_request_does(node: Node) -> None:
    async with node.client.utterance(session_id="s", phone_id="p", request_id="r", transport="none") as utterance:
        await utterance.write("안녕")
        await node.report("s", "r", "cancelled", utterance.acceptance.request_seq)
        with pytest.raises(UtteranceEnded):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await utterance.write("하세요 ")
                    await asyncio.sleep(0.05)
    assert (await utterance.wait(PATIENCE_S)).status == "cancelled"


async def test_reading_goes_on_when_the_gateway_dies(node: Node) -> None:
    await node.client.say("안녕하세요", session_id="s", phone_id="p", request_id="r", transport="none")
    waiting = asyncio.create_task(node.client.wait("s", "r", 3 * PATIENCE_S))
    await asyncio.sleep(0.3)
    node.stack.only("gateway").kill()
    await node.stack.start("gateway")
    await node.report("s", "r", "delivered")
    assert (await waiting).status == "delivered"


async def test_without_a_gateway_the_error_says_so(node: Node) -> None:
    await node.stack.stop()
    with pytest.raises(NodeUnavailable, match="gateway"):
        await node.client.reads.report("s", "r", patience_s=1)


async def test_invalid_queries_name_the_field(node: Node) -> None:
    broker = node.client.broker
    for query, field in ((b'{"waitSeconds": 31}', "waitSeconds"), (b'{"after": -1}', "after"), (b"[", "payload")):
        _, headers = await broker.request(NAMES.audio_read("s", "r"), query, timeout_s=PATIENCE_S)
        assert headers.get("Nats-Service-Error-Code") == "400"
        assert field in str(headers.get("Nats-Service-Error"))
    with pytest.raises(InvalidRequest):
        ReadQuery.decode(b'{"after": true}')
    _, headers = await broker.request("tts.report.get.s.~!", b"", timeout_s=PATIENCE_S)
    assert "requestId" in str(headers.get("Nats-Service-Error"))


async def test_one_caller_cannot_take_all_places(node: Node) -> None:
    """Beyond its share a caller is refused at once, and what the node reads itself still works."""
    broker = node.client.broker
    answers: list[Headers] = []
    inbox = broker.open_inbox(lambda _s, _r, _d, headers: answers.append(headers))
    wait = ReadQuery(after=0, wait_s=5).encode()
    for number in range(MAX_OF_ONE_CALLER + 10):
        await broker.publish(NAMES.audio_read("s", f"r{number}"), wait, reply=inbox)
    async with asyncio.timeout(PATIENCE_S):
        while len(answers) < 10:
            await asyncio.sleep(0.05)
    refused = [headers for headers in answers if headers.get("Nats-Service-Error-Code") == "503"]
    assert len(refused) == 10
    other = JetStream(node.js.broker)
    data, headers = await other.broker.request(NAMES.report_get("s", "r"), b"", timeout_s=PATIENCE_S)
    assert (data, headers.get("Nats-Service-Error-Code")) == (b"", "404")
    names = ("Nats-Service-Error", "Nats-Service-Error-Code")
    assert problems(ASYNCAPI, "ServiceErrorHeaders", {name: headers.get(name) for name in names}) == []
    async with asyncio.timeout(PATIENCE_S):
        while sum(headers.get(NEXT) is not None for headers in answers) < MAX_OF_ONE_CALLER:
            await asyncio.sleep(0.1)
    assert json.loads(wait) == {"waitSeconds": 5.0, "after": 0}
