"""The engine begins the first sentence while its request is claimed; nothing is stored before the claim is ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, unpack
from orastream.contract.messages import Report
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.engine_pool.process import PooledEngine
from services.synth.engine_pool.sentence_stream import SentenceStream
from services.synth.job import job
from services.synth.queue.claim import Claim, claim
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

LONG = "물이 흐르고 " * 40
"""One sentence of more audio than the engine may send ahead: it is in progress until somebody reads it or stops it."""


class Engine:
    """What the engines are asked for, and what they give, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.gave = asyncio.Event()
        speak, receive = PooledEngine.speak, SentenceStream.receive

        def asked(engine: PooledEngine, sentence: str, *rest: Any, **manner: Any) -> SentenceStream:
            self.asked.append(sentence)
            self.gave.clear()
            return speak(engine, sentence, *rest, **manner)

        def gave(stream: SentenceStream, pcm: bytes, *words: Any) -> None:
            receive(stream, pcm, *words)
            self.gave.set()

        monkeypatch.setattr(PooledEngine, "speak", asked)
        monkeypatch.setattr(SentenceStream, "receive", gave)


async def chunks(js: JetStream, request: str) -> list[AudioChunk]:
    stored = await js.read(NAMES.audio_stream, NAMES.audio("s", subjects.token(request)), 0)
    return [chunk for message in stored if isinstance(chunk := unpack(message.data), AudioChunk)]


async def until_spoken(js: JetStream, request: str) -> None:
    async with asyncio.timeout(20):
        while not await chunks(js, request):
            await asyncio.sleep(0.02)


async def test_the_engine_gives_audio_before_the_claim_is_asked_and_none_is_stored_before(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(monkeypatch)
    before: list[int] = []

    async def late(*about: Any) -> Claim:
        async with asyncio.timeout(20):
            await engine.gave.wait()
        before.append(len(await chunks(js, "r")))
        return await claim(*about)

    monkeypatch.setattr(job, "claim", late)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        await client.say("Good.", session_id="s", phone_id="p", request_id="r", use_websocket=True)
        await until_spoken(js, "r")
    assert before == [0]
    assert engine.asked == ["Good."], "the sentence is not spoken twice"


@pytest.mark.parametrize("lost", ["deleted", "cancelled", "ended"])
async def test_a_lost_claim_stores_and_counts_nothing_and_gives_the_slot_back(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """There is one slot, and the engine waits in the middle of the sentence: another request needs that slot."""
    engine = Engine(monkeypatch)

    async def losing(reader: Any, reports: ReportStore, stored: StoredRequest, report: Report, start: Any) -> Claim:
        if stored.token == subjects.token("r"):
            async with asyncio.timeout(20):
                await engine.gave.wait()
            if lost == "deleted":
                await js.delete(NAMES.sessions_stream, stored.sequence)
            elif lost == "cancelled":
                await client.cancel("s", "r")
            else:
                await reports.write_first(stored, report.with_(status="cancelled"))
        return await claim(reader, reports, stored, report, start)

    monkeypatch.setattr(job, "claim", losing)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)) as processes:
        await client.say(LONG, session_id="s", phone_id="p", request_id="r", use_websocket=True)
        async with asyncio.timeout(20):
            while not engine.asked:
                await asyncio.sleep(0.02)
        await client.say("Good.", session_id="s", phone_id="p", request_id="next", use_websocket=True)
        await until_spoken(js, "next")
        assert await chunks(js, "r") == []
        stored = await chunks(js, "next")
        text = processes["synth"].metrics.render().decode()
        counted = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line[:1] not in ("#", "")}
        assert counted["orastream_synth_audio_bytes_total"] == sum(len(chunk.audio) for chunk in stored)
        assert counted["orastream_synth_engine_failures_total"] == 0
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "head start"]
    assert engine.asked[0].strip() == LONG.strip() and engine.asked[1:] == ["Good."]


async def test_requests_that_are_cancelled_while_they_wait_do_not_reach_the_engine(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a barge-in each of them would begin a sentence and stop it, before the next one that is wanted."""
    engine = Engine(monkeypatch)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        await client.say(LONG, session_id="s", phone_id="p", request_id="r", use_websocket=True)
        await until_spoken(js, "r")
        for number in range(5):
            await client.say(f"No {number}.", session_id="s", phone_id="p", request_id=f"q{number}", use_websocket=True)
        await client.cancel("s")
        await client.say("Good.", session_id="s", phone_id="p", request_id="next", use_websocket=True)
        await until_spoken(js, "next")
    first, *between, last = engine.asked
    assert (first.strip(), last) == (LONG.strip(), "Good.")
    assert len(between) <= 1, "only the one that was claimed before, and waited for the slot"
