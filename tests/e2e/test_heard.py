"""What was heard: the record of each utterance at a barge-in, at the end of its play, and after faults."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.heard import Heard
from orastream.contract.messages import Report
from orastream.contract.word_time import WordTime
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import StreamTerms
from tests.e2e.test_oraserver_v2 import SHORT, Node, node
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TEXTS = (
    "오늘 서울은 맑고 낮 최고 기온은 3도입니다. The second sentence is English. 저녁에는 비가 조금 오겠습니다.",
    "네, 알겠습니다! 잠시만 기다려 주세요... 주문 번호는 2024번이고, 금액은 15,000원입니다.",
    "The quick brown fox jumps over the lazy dog. It never looks back, and it runs on.",
)
PLAYS = Faults(real_time=True)
REPORTS = StreamTerms(played=True)
ESTIMATE_MS = 300
"""How much the estimate for protocol v1 may differ from a receiver that plays at once."""


async def records(js: JetStream, session: str) -> dict[str, Heard]:
    return {state.heard.request_id: state.heard for state in await HeardStore(js).of_session(session)}


async def heard(js: JetStream, session: str, request: str, *, done: bool = True, timeout_s: float = 30) -> Heard:
    """Wait for the record of a request."""
    found: list[Heard] = []

    async def there() -> bool:
        record = (await records(js, session)).get(request)
        if record is not None and record.done >= done:
            found.append(record)
        return bool(found)

    await until(there, f"the record of {request}", timeout_s=timeout_s, poll_s=0.02)
    return found[0]


async def words_of(client: Client, report: Report) -> list[WordTime]:
    """The times of the words, as a reader of the stored audio gets them."""
    audio = client.audio(report.session_id, report.request_id, report.request_seq)
    return [word async for message in audio if isinstance(message, AudioChunk) for word in message.words]


def check_text(record: Heard, text: str, words: list[WordTime]) -> None:
    """The heard part ends at the word that was being heard, and the rest is not heard."""
    assert record.played_ms is not None and record.heard_text is not None and record.unheard_text is not None
    begun = [word for word in words if word.begin_ms < record.played_ms]
    past = begun[-1].end if begun else 0
    next_at = min((word.first for word in words if word.first >= past), default=len(text))
    assert text[:past].strip() in record.heard_text, record
    assert len(record.heard_text) <= next_at, record
    assert "".join((record.heard_text + record.unheard_text).split()) == "".join(text.split())


async def test_a_hundred_barge_ins_at_random_moments(js: JetStream, tmp_path: Path) -> None:
    """Over protocol v2, to a receiver that plays in real time and reports `played`."""
    rng = random.Random(19)
    async with node(js, tmp_path, terms=REPORTS, faults=PLAYS) as to:

        async def talk(session: str) -> None:
            for number in range(5):
                request, text = f"r{number}", rng.choice(TEXTS)
                await to.client.say(text, session_id=session, phone_id="p", request_id=request)
                await heard(js, session, request, done=False)
                await asyncio.sleep(rng.uniform(0, 4))
                await to.client.cancel(session)
                record, got = await heard(js, session, request), await to.got(session, request)
                report = await to.final(session, request)
                assert (record.heard_by, record.played_ms) == ("played", got.played_ms), got
                assert (record.cancel_seq is None) == got.play_ended or got.state == "cancelled"
                check_text(record, text, await words_of(to.client, report))

        await asyncio.gather(*(talk(f"s{number}") for number in range(20)))


async def test_the_record_follows_the_answer_to_the_cancel(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=REPORTS, faults=PLAYS) as to:
        took = []
        for number in range(10):
            await to.begin("s", f"r{number}", TEXTS[0])
            await heard(js, "s", f"r{number}", done=False)
            ack_at = time.monotonic()
            await to.client.cancel("s")
            record = await heard(js, "s", f"r{number}")
            took.append(time.monotonic() - ack_at)
            assert record.cancel_seq is not None and record.heard_by == "played"
        assert sorted(took)[len(took) // 2] < 0.25, took


async def test_what_is_not_cancelled_is_heard_to_its_end(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=REPORTS, faults=PLAYS) as to:
        await to.client.say(TEXTS[0], session_id="s", phone_id="p", request_id="r")
        undone = await heard(js, "s", "r", done=False)
        assert (undone.done, undone.played_ms, undone.heard_text, undone.unheard_text) == (False, None, None, None)
        began_at = time.monotonic()
        record = await heard(js, "s", "r")
        played_s, report = time.monotonic() - began_at, await to.final("s", "r")
        assert report.audio_seconds - 0.5 < played_s < report.audio_seconds + 2.0
        assert record.played_ms == round(report.audio_seconds * 1000)
        assert (record.heard_text, record.unheard_text, record.cut, record.cancel_seq) == (TEXTS[0], "", None, None)


async def test_a_text_stream_and_ssml(js: JetStream, tmp_path: Path) -> None:
    """The text is put together from the sentences: without markup, and of all pieces."""
    async with node(js, tmp_path, terms=REPORTS, faults=PLAYS) as to:
        ssml = '<speak>첫 문장입니다. <break time="200ms"/>The <emphasis>second</emphasis> one.</speak>'
        await to.say("s", "marked", ssml, ssml=True)
        whole = await heard(js, "s", "marked")
        assert (whole.heard_text, whole.unheard_text) == ("첫 문장입니다. The second one.", "")
        async with to.client.utterance(session_id="t", phone_id="p", request_id="r") as stream:
            await stream.write(TEXTS[0][:20])
            await stream.write(TEXTS[0][20:])
        await heard(js, "t", "r", done=False)
        await asyncio.sleep(1.0)
        await to.client.cancel("t")
        record = await heard(js, "t", "r")
        check_text(record, TEXTS[0], await words_of(to.client, await to.final("t", "r")))
        assert record.heard_text and record.unheard_text


async def test_requests_that_were_waiting_are_not_heard(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=REPORTS, faults=PLAYS, tts_engine_rtf=0.5) as to:
        await to.begin("s", "r0", TEXTS[0])
        for number in (1, 2):
            await to.client.say(SHORT, session_id="s", phone_id="p", request_id=f"r{number}")
        await to.client.say("나중에.", session_id="s", phone_id="p", request_id="new", supersede=True)
        found = [await heard(js, "s", request) for request in ("r0", "r1", "r2")]
        report = await to.final("s", "new")
        assert {one.cancel_seq for one in found} == {report.request_seq}
        assert [(one.played_ms, one.heard_text, one.unheard_text) for one in found[1:]] == [(0, "", SHORT)] * 2
        whole = await heard(js, "s", "new")
        assert (whole.heard_text, whole.cancel_seq) == ("나중에.", None)


@pytest.mark.parametrize("options", [{"transport": "http"}, {"transport": "none"}])
async def test_unknown_is_said_at_once(js: JetStream, tmp_path: Path, options: dict[str, Any]) -> None:
    async with node(js, tmp_path) as to:
        await to.say("s", "r", **options)
        record = await heard(js, "s", "r", timeout_s=3)
        assert record == Heard(
            request_id="r",
            session_id="s",
            request_seq=record.request_seq,
            epoch=record.epoch,
            done=True,
            heard_by="unknown",
        )


async def begun_v1(to: Node, js: JetStream, session: str, request: str) -> float:
    """Wait until OraServer has its first chunk; returns when it came, in unix seconds."""
    await heard(js, session, request, done=False)

    async def there() -> bool:
        return any(one.request_id == request for one in (await to.oraserver.received(session)).utterances)

    await until(there, f"{request} has begun")
    (found,) = (one for one in (await to.oraserver.received(session)).utterances if one.request_id == request)
    return found.first_chunk_at


@pytest.mark.parametrize("settings", [{}, {"tts_engine_rtf": 0.15}, {"delivery_format": "opus"}])
async def test_over_v1_it_is_estimated_for_a_receiver_that_plays_at_once(
    js: JetStream, tmp_path: Path, settings: dict[str, Any]
) -> None:
    rng = random.Random(1)
    async with node(js, tmp_path, terms=StreamTerms(protocol="v1"), **settings) as to:

        async def talk(session: str) -> None:
            text = rng.choice(TEXTS)
            for number in range(3):
                await to.client.say(text, session_id=session, phone_id="p", request_id=f"r{number}")
                began_at = await begun_v1(to, js, session, f"r{number}")
                await asyncio.sleep(rng.uniform(0, 3))
                earliest_ms = (time.time() - began_at) * 1000
                await to.client.cancel(session)
                record = await heard(js, session, f"r{number}")
                latest_ms = (time.time() - began_at) * 1000
                report = await to.final(session, f"r{number}")
                assert record.played_ms is not None and record.heard_by == "sent"
                if record.cancel_seq is None:
                    assert latest_ms + ESTIMATE_MS > record.played_ms == round(report.audio_seconds * 1000)
                else:
                    assert earliest_ms - ESTIMATE_MS < record.played_ms < latest_ms + ESTIMATE_MS, (record, report)
                check_text(record, text, await words_of(to.client, report))

        await asyncio.gather(*(talk(f"s{number}") for number in range(3)))


async def test_v2_without_played_is_estimated(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, faults=PLAYS) as to:
        await to.begin("s", "r", TEXTS[0])
        await heard(js, "s", "r", done=False)
        await asyncio.sleep(1.0)
        await to.client.cancel("s")
        record, got = await heard(js, "s", "r"), await to.got("s", "r")
        assert record.heard_by == "sent" and record.played_ms is not None
        assert abs(record.played_ms - got.played_ms) < ESTIMATE_MS


@pytest.fixture
async def nodes(tmp_path: Path, logs: Logs) -> AsyncIterator[Stack]:
    """A nats-server, OraServer of protocol v1, synth and ws_bridge as processes."""
    server = NatsServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, ORASERVER_PROTOCOL="v1")
    try:
        for service in ("oraserver", "synth", "ws_bridge"):
            await stack.start(service)
        yield stack
    finally:
        stack.kill()
        server.kill()


@pytest.mark.parametrize("cancel", [True, False])
async def test_the_next_bridge_finishes_the_record(nodes: Stack, cancel: bool) -> None:
    """The bridge is killed after it has delivered the audio, while it plays."""
    text, bridge = TEXTS[0], nodes["ws_bridge"][0]
    async with nodes.client() as client:
        js = JetStream(client.broker)
        await client.say(text, session_id="s", phone_id="p", request_id="r")
        report = await client.wait("s", "r", 20)
        assert report.status == "delivered" and report.first_audio_ms is not None
        first = await heard(js, "s", "r", done=False)
        assert not first.done
        began_at = time.time()
        bridge.kill()
        await bridge.start()
        if cancel:
            await asyncio.sleep(1)
            await client.cancel("s")
        else:
            await client.say(SHORT, session_id="s", phone_id="p", request_id="next")
        record = await heard(js, "s", "r", timeout_s=40)
        played_ms = (time.time() - began_at) * 1000
        assert record.epoch > first.epoch and record.heard_by == "sent" and record.played_ms is not None
        check_text(record, text, await words_of(client, report))
        if record.cancel_seq is None:  # at the end of its play
            assert record.heard_text == text and played_ms > report.audio_seconds * 1000 - 1500
        else:
            assert cancel and abs(record.played_ms - played_ms) < 1500
