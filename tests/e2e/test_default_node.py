"""Tests on a node with default settings, by the fixture `orastream_node`, as users of this project have it.

`FakeNode` behaves as a real node does: each test with `both` runs against both, and expects the same. SSML: the audio
in OraServer, and the errors of malformed SSML. They stand in one file, which one worker runs: so they share one node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import nats
import pytest

from orastream import (
    Acceptance,
    BlockingClient,
    Client,
    InvalidRequest,
    NodeUnavailable,
    Overloaded,
    Report,
    UtteranceEnded,
    WaitTimeout,
)
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.messages import FINAL, parse_request
from orastream.contract.subjects import token
from orastream.testing import FakeNode, LocalNode
from tests.support.scenes import reference
from tests.support.speech import sha256

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

IDS = {"session_id": "s1", "phone_id": "p1"}
TEXT = "The first sentence. The second sentence."
MANY = "One sentence after the other is spoken here. " * 40


@dataclass
class Both:
    """What the tests use of either node."""

    client: Callable[..., Client]
    blocking_client: Callable[..., BlockingClient]
    received: Callable[..., list[dict[str, Any]]]
    hold: Callable[[], None]
    """The next request is not delivered before it is cancelled."""


@pytest.fixture(params=["fake", "real"])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "fake":
        fake = FakeNode()
        return Both(fake.client, fake.blocking_client, fake.received, fake.hold)
    real: LocalNode = request.getfixturevalue("orastream_node")
    return Both(real.client, real.blocking_client, real.received, lambda: real.misbehave(stall_phone="p1"))


async def test_a_request_is_accepted_then_delivered_and_received_by_ora_server(both: Both) -> None:
    async with both.client() as client:
        accepted = await client.say(TEXT, **IDS, request_id="r1", fire_and_forget=True)
        report = await client.wait("s1", "r1")
        assert isinstance(accepted, Acceptance)
        assert accepted == Acceptance("r1", "s1", report.request_seq)
        assert (await client.report("s1", "r1")) == report
        assert (await client.report("s1", "unknown")) is None
    assert (report.status, report.transport, report.characters, report.error) == ("delivered", "websocket", 40, None)
    assert report.total_chunks == report.delivered_chunks and report.total_chunks and report.audio_seconds > 1
    (entry,) = both.received("s1")
    wanted = {"requestId": "r1", "phoneId": "p1", "text": TEXT, "complete": True, "transport": "websocket"}
    assert {name: entry[name] for name in wanted} == wanted and entry["bytes"] == report.bytes
    assert both.received("s2") == []


INVALID: list[dict[str, Any]] = [
    {"text": ""},
    {"text": "…"},
    {"text": "x" * 5_001},
    {"sessionId": ""},
    {"phoneId": "p" * 1_000},
    {"speed": 9.0},
    {"speed": "fast"},
    {"format": "midi"},
    {"format": "mp3", "sampleRate": 9_000},
    {"ttlSeconds": 0},
    {"replyTo": "elsewhere"},
    {"text": "<speak>", "ssml": True},
    {"pronunciations": {"": "x"}},
]


async def test_invalid_requests_are_refused_with_the_words_of_the_contract(both: Both) -> None:
    async with both.client() as client:
        for fields in INVALID:
            given = {"text": TEXT, "sessionId": "s1", "phoneId": "p1", **fields}
            with pytest.raises(InvalidRequest) as expected:
                parse_request(given)
            with pytest.raises(InvalidRequest) as refused:
                await client.submit(given)
            assert str(refused.value) == str(expected.value)
        assert [report async for report in stored_reports(client)] == []


async def stored_reports(client: Client) -> AsyncIterator[Report]:
    """The reports of the session that are stored now."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2), contextlib.aclosing(client.reports("s1", history=True)) as reports:
            async for report in reports:
                yield report


async def test_a_wrong_name_of_a_field_and_a_client_that_is_not_open(both: Both) -> None:
    client = both.client()
    with pytest.raises(RuntimeError, match="async with"):
        await client.say(TEXT, **IDS)
    async with client:
        with pytest.raises(TypeError, match="did you mean 'voice'"):
            await client.say(TEXT, **IDS, vioce="ko")
        with pytest.raises(InvalidRequest, match="text"):
            await client.say("", **IDS)


async def test_the_node_refuses_an_unknown_voice_and_another_engine(both: Both) -> None:
    async with both.client(fire_and_forget=False) as client:
        for field in ("voice", "engine"):
            report = await client.say(TEXT, **IDS, **{field: "nobody"})
            assert isinstance(report, Report) and report.error is not None
            assert (report.status, report.error.code, report.error.retryable) == ("failed", "invalid_request", False)
            assert report.error.message.startswith(f"{field}: ")
        voices = await client.voices()
        assert voices and all(voice.name and voice.sample_rate_hz and voice.engine for voice in voices)


async def test_a_repeated_request_is_spoken_once(both: Both) -> None:
    async with both.client() as client:
        first = await client.say(TEXT, **IDS, request_id="r1")
        second = await client.say(TEXT, **IDS, request_id="r1")
        assert isinstance(first, Acceptance) and isinstance(second, Acceptance)
        assert (first.duplicate, second.duplicate, second.request_seq) == (False, True, first.request_seq)
        await client.wait("s1", "r1")
        await client.say("The end.", **IDS, fire_and_forget=False)
    assert [entry["text"] for entry in both.received()] == [TEXT, "The end."]


async def test_a_session_is_spoken_in_order_and_its_reports_can_be_followed(both: Both) -> None:
    async with both.client() as client:
        ids = [f"r{n}" for n in range(4)]
        for request_id in ids:
            await client.say(f"Number {request_id}.", **IDS, request_id=request_id)
        final: list[str] = []
        async with asyncio.timeout(20):
            async with contextlib.aclosing(client.reports("s1", history=True)) as reports:
                async for report in reports:
                    if report.status in FINAL:
                        final.append(report.request_id)
                    if len(final) == len(ids):
                        break
    assert final == ids
    assert [entry["requestId"] for entry in both.received("s1")] == ids


async def test_a_text_stream_is_spoken_sentence_by_sentence(both: Both) -> None:
    text = "Hello there. How are you? 안녕하세요. \U0001f600 Bye."
    async with both.client() as client:
        async with client.utterance(**IDS) as u:
            for character in text[:-5]:
                await u.write(character)
            await u.write(None)
            await u.write(" Bye.")
        report = await u.wait()
        ended = [m async for m in client.audio("s1", u.request_id, report.request_seq) if isinstance(m, AudioEnd)]
    assert (report.status, report.characters) == ("delivered", len(text))
    assert ended[-1].text == text and ended[-1].status == "complete"
    (entry,) = both.received()
    assert "".join(entry["text"].split()) == "".join(text.split())


async def test_a_text_stream_with_nothing_to_say_is_delivered_without_a_chunk(both: Both) -> None:
    async with both.client() as client:
        async with client.utterance(**IDS) as u:
            await u.write("  ")
        report = await u.wait()
    assert (report.status, report.total_chunks) == ("delivered", 0)
    assert both.received() == []


async def test_an_exception_in_the_block_of_a_text_stream_cancels_it(both: Both) -> None:
    async with both.client() as client:
        with pytest.raises(ZeroDivisionError):
            async with client.utterance(**IDS) as u:
                await u.write("A first sentence. And")
                raise ZeroDivisionError
        assert (await u.wait()).status == "cancelled"


async def test_a_barge_in_ends_a_text_stream_and_the_request_after_it_is_spoken(both: Both) -> None:
    async with both.client() as client:
        with contextlib.suppress(UtteranceEnded):  # the block swallows it
            async with client.utterance(**IDS) as u:
                await u.write("A first sentence. And")
                cancelled_at = await client.cancel("s1")
                async with asyncio.timeout(20):
                    while True:
                        await u.write(" more")
                        await asyncio.sleep(0.01)
        report = await u.wait()
        assert report.status == "cancelled" and cancelled_at > report.request_seq
        after = await client.say("Another one.", **IDS, fire_and_forget=False)
        assert isinstance(after, Report) and after.status == "delivered"


async def test_audio_is_one_file_in_order_with_its_sentences(both: Both) -> None:
    async with both.client(transport="none", fire_and_forget=False) as client:
        report = await client.say(TEXT, **IDS, request_id="r1", format="pcm16")
        assert isinstance(report, Report) and (report.status, report.transport) == ("delivered", "none")
        messages = [message async for message in client.audio("s1", "r1", report.request_seq)]
    start, *chunks, end = messages
    assert isinstance(start, AudioStart) and isinstance(end, AudioEnd)
    assert (start.format, start.text, start.request_seq) == ("pcm16", TEXT, report.request_seq)
    assert all(isinstance(chunk, AudioChunk) for chunk in chunks)
    audio = [chunk for chunk in chunks if isinstance(chunk, AudioChunk)]
    assert [chunk.index for chunk in audio] == list(range(end.total_chunks))
    assert [chunk.offset for chunk in audio] == [sum(len(c.audio) for c in audio[:n]) for n in range(len(audio))]
    assert sum(len(chunk.audio) for chunk in audio) == end.total_bytes == report.bytes
    assert end.audio_seconds == pytest.approx(end.total_bytes / 2 / start.sample_rate_hz, abs=0.001)
    starts = [begun for chunk in audio for begun in chunk.sentences]
    assert [TEXT[begun.first : begun.end] for begun in starts] == ["The first sentence.", "The second sentence."]
    assert both.received() == []


async def test_a_cancel_cuts_what_is_under_way_and_says_what_was_heard(both: Both) -> None:
    async with both.client() as client:
        assert await client.cancel("s1", wait=True) == ()
        both.hold()
        await client.say(MANY, **IDS, request_id="r1")
        await client.say("Behind it.", **IDS, request_id="r2")
        await client.say("Of another session.", session_id="s2", phone_id="p2", request_id="r3", transport="none")
        async with asyncio.timeout(20):
            while (report := await client.report("s1", "r1")) is None or report.status != "delivering":
                await asyncio.sleep(0.02)
        heard = await client.cancel("s1", wait=True)
        assert [(record.request_id, record.done) for record in heard] == [("r1", True), ("r2", True)]
        assert all(record.cancel_seq == heard[0].cancel_seq for record in heard)
        words = [f"{record.heard_text} {record.unheard_text}".split() for record in heard]
        assert words == [MANY.split(), ["Behind", "it."]]
        assert [(await client.wait("s1", name)).status for name in ("r1", "r2")] == ["cancelled", "cancelled"]
        assert (await client.heard("s1", "r1")) == heard[0]
        assert (await client.wait("s2", "r3")).status == "delivered"
        assert await client.heard("s1", "unknown") is None


async def test_a_request_that_supersedes_ends_the_earlier_ones(both: Both) -> None:
    async with both.client() as client:
        both.hold()
        await client.say(MANY, **IDS, request_id="r1")
        await client.say("New.", **IDS, request_id="r2", supersede=True, transport="none")
        assert (await client.wait("s1", "r1")).status == "cancelled"
        assert (await client.wait("s1", "r2")).status == "delivered"


async def test_a_wait_that_is_too_short_and_a_session_that_is_full(both: Both) -> None:
    async with both.client() as client:
        both.hold()
        await client.say(MANY, **IDS, request_id="r1")
        with pytest.raises(WaitTimeout) as late:
            await client.wait("s1", "r1", 0.05)
        assert (late.value.request_id, late.value.waited_s) == ("r1", 0.05)
        for number in range(63):
            await client.say("Behind it.", **IDS, request_id=f"b{number}")
        with pytest.raises(Overloaded, match="session s1 has no room"):
            await client.say("Too many.", **IDS)
        await client.cancel("s1")
        assert (await client.wait("s1", "b62")).status == "cancelled"


async def test_delivered_audio_can_be_delivered_again(both: Both) -> None:
    async with both.client(fire_and_forget=False) as client:
        first = await client.say(TEXT, **IDS, request_id="r1")
        again = await client.say("", **IDS, request_id="r2", redeliver_of="r1")
        assert isinstance(first, Report) and isinstance(again, Report)
        assert (again.status, again.bytes, again.redeliver_of) == ("delivered", first.bytes, "r1")
    assert [entry["text"] for entry in both.received()] == [TEXT, TEXT]


async def test_each_call_may_have_a_client_of_its_own(both: Both) -> None:
    """A request is spoken after the client that has asked for it is closed, and those behind it are, too."""
    for number in range(3):
        async with both.client() as client:
            await client.say(f"Number {number}.", **IDS, request_id=f"r{number}")
    async with both.client() as client:
        assert (await client.wait("s1", "r2", 20)).status == "delivered"
        assert (await client.wait("s1", "r0", 20)).status == "delivered"
    assert [entry["requestId"] for entry in both.received("s1")] == ["r0", "r1", "r2"]


async def test_a_wrong_option_of_a_client_is_refused_when_it_is_made(both: Both) -> None:
    for make in (both.client, both.blocking_client):
        with pytest.raises(TypeError, match="transprot"):
            make(transprot="http")


def test_the_blocking_client(both: Both) -> None:
    with both.blocking_client() as client:
        report = client.say(TEXT, **IDS, fire_and_forget=False)
        streamed = client.utterance(iter(["One. ", None, "Two."]), **IDS, fire_and_forget=False)
        assert isinstance(report, Report) and isinstance(streamed, Report)
        assert [report.status, streamed.status] == ["delivered", "delivered"]
        assert client.report("s1", streamed.request_id) == streamed
        assert client.cancel("s2", wait=True) == ()
        with pytest.raises(InvalidRequest):
            client.say("", **IDS)
    assert len(both.received()) == 2


async def test_the_script_of_the_fake_node_ends_requests_as_a_node_would() -> None:
    fake = FakeNode()
    fake.fail("oraserver_unreachable", "nobody there", session_id="s2")
    fake.fail("synth_stalled")
    fake.expire()
    fake.cancel_next()
    fake.refuse()
    fake.unavailable()
    fake.delay(0.05)
    async with fake.client(fire_and_forget=False) as client:
        failed = await client.say(TEXT, **IDS)
        other = await client.say(TEXT, session_id="s2", phone_id="p")
        expired = await client.say(TEXT, **IDS)
        cancelled = await client.say(TEXT, **IDS)
        with pytest.raises(Overloaded):
            await client.say(TEXT, **IDS)
        with pytest.raises(NodeUnavailable):
            await client.say(TEXT, **IDS)
        delayed = await client.say(TEXT, **IDS)
    reports = [r for r in (failed, other, expired, cancelled, delayed) if isinstance(r, Report)]
    assert [r.status for r in reports] == ["failed", "failed", "expired", "cancelled", "delivered"]
    assert [r.error.code if r.error else None for r in reports] == [
        "synth_stalled", "oraserver_unreachable", "expired", None, None,
    ]  # fmt: skip
    assert [r.status for r in fake.reports("s1")] == ["failed", "expired", "cancelled", "delivered"]


async def test_a_held_request_of_the_fake_node_is_cut_where_the_test_says() -> None:
    fake = FakeNode()
    fake.hold(heard_ms=1_140)  # 19 characters of 60 ms
    fake.hold()
    async with fake.client() as client:
        await client.say(TEXT, **IDS, request_id="r1")
        (heard,) = await client.cancel("s1", wait=True)
        assert (heard.heard_text, heard.unheard_text) == ("The first sentence.", "The second sentence.")
        await client.say(TEXT, **IDS, request_id="r2")
        fake.release("s1")
        assert (await client.wait("s1", "r2")).status == "delivered"


async def test_progress_of_a_held_request_is_followed_to_its_cut() -> None:
    fake = FakeNode()
    fake.hold(heard_ms=60)
    async with fake.client() as client, asyncio.timeout(20):
        await client.say(TEXT, **IDS, request_id="r1")
        seen = []
        async for progress in client.progress("s1", "r1"):
            seen.append((progress.sent_ms, progress.played_ms, progress.done))
            if len(seen) == 1:
                await client.cancel("s1")
    assert seen == [(2_340, 60, False), (2_340, 60, True)]  # 39 characters in its two sentences


async def test_a_request_is_held_until_its_text_ends_it_and_one_that_is_delayed_is_not_released() -> None:
    fake = FakeNode()
    fake.hold(session_id="s1")
    fake.delay(0.2, session_id="s2")
    async with fake.client() as client:
        async with client.utterance(**IDS, idle_seconds=1) as u:
            await u.write("A first sentence. And")
            report = await client.wait("s1", u.request_id, 20)
            assert report.error is not None and report.error.code == "text_stalled"
        await client.say(TEXT, session_id="s2", phone_id="p2", request_id="r2")
        await asyncio.sleep(0)
        fake.release()
        assert [report.status for report in fake.reports("s2")] == ["delivering"]
        assert (await client.wait("s2", "r2")).status == "delivered"


def test_the_fake_node_stands_in_for_the_clients_that_a_program_makes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNode()
    monkeypatch.setattr(BlockingClient, "from_django", fake.blocking_client)
    monkeypatch.setattr("orastream.client.blocking.BlockingClient", fake.blocking_client)
    with BlockingClient.from_django() as client:
        assert client.say(TEXT, **IDS, fire_and_forget=False).status == "delivered"
    from orastream.client import blocking  # as a program that imports it after that

    with blocking.BlockingClient("nats://elsewhere:4222", creds="none.creds", connect_timeout_s=1) as client:
        assert client.say(TEXT, **IDS, fire_and_forget=False).status == "delivered"
    assert len(fake.received()) == 2


def test_clients_that_were_closed_leave_what_is_held_or_delayed_to_the_node() -> None:
    fake = FakeNode()
    fake.hold(session_id="held")
    fake.delay(0.05, session_id="late")

    async def ask_and_leave(session_id: str) -> None:
        client = await fake.client().__aenter__()  # nobody closes it before its event loop
        await client.say(TEXT, session_id=session_id, phone_id="p1")

    for session_id in ("held", "late", "plain"):
        asyncio.run(ask_and_leave(session_id))
    assert [report.status for report in fake.reports()] == ["delivering", "delivering", "delivered"]
    fake.release()
    with fake.blocking_client(fire_and_forget=False) as client:
        for session_id in ("held", "late"):
            report = client.say("Behind it.", session_id=session_id, phone_id="p1")
            assert isinstance(report, Report) and report.status == "delivered"
    assert [report.status for report in fake.reports()] == ["delivered"] * 5


# ---- SSML and numbers, on the real node alone: FakeNode has no engine

PAUSE_S = 0.75
PLAIN = "<speak>하나입니다. 둘입니다.</speak>"
PAUSED = "<speak>하나입니다. <break time='750ms'/>둘입니다.</speak>"
MALFORMED = "<speak>비밀<p></speak>"
PROBLEM = "text: is no SSML at line 1, column 15: mismatched tag"


async def deliver(client: Client, request_id: str, text: str, **options: Any) -> Report:
    """Request the text and return the report. It must be delivered."""
    report = await client.say(text, **IDS, request_id=request_id, fire_and_forget=False, **options)
    assert isinstance(report, Report) and report.status == "delivered", report
    return report


async def test_break_makes_the_audio_longer_by_its_pause(orastream_node: LocalNode) -> None:
    async with orastream_node.client() as client:
        plain = await deliver(client, "plain", PLAIN, ssml=True)
        paused = await deliver(client, "paused", PAUSED, ssml=True, transport="http")
    assert paused.audio_seconds - plain.audio_seconds == pytest.approx(PAUSE_S, abs=0.001)
    got, shown = await orastream_node.aio.received("s1")
    assert got["sha256"] == sha256(await reference("하나입니다. 둘입니다."))
    assert shown["text"] == PAUSED, "metadata.text is not the text of the request"
    assert await orastream_node.aio.violations() == []


async def test_numbers_are_spoken_in_words(orastream_node: LocalNode) -> None:
    async with orastream_node.client() as client:
        for name, text in (("decimal", "3.14입니다."), ("words", "삼 점 일사입니다.")):
            await deliver(client, name, text)
    decimal, words = await orastream_node.aio.received("s1")
    assert decimal["sha256"] == words["sha256"]


async def test_markup_is_spoken_as_text_without_the_field_ssml(orastream_node: LocalNode) -> None:
    async with orastream_node.client() as client:
        await deliver(client, "plain", MALFORMED)


async def test_malformed_ssml_is_refused_by_client_gateway_and_synth(orastream_node: LocalNode) -> None:
    """Client and gateway refuse it before it is stored; a direct publish gets a failed final report."""
    body = {"text": MALFORMED, "sessionId": "s1", "phoneId": "p1", "requestId": "r", "ssml": True}
    url = f"{orastream_node.http_url}/api/convert-tts/"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 422
        error = (await answer.json())["error"]
        assert (error["code"], error["field"]) == ("invalid_request", "text") and PROBLEM in error["message"]
    async with orastream_node.client() as client:
        with pytest.raises(InvalidRequest, match=PROBLEM):
            await client.say(MALFORMED, **IDS, ssml=True)
        nc = await nats.connect(orastream_node.nats_url)
        reply = json.loads((await nc.request("tts.speak", json.dumps(body).encode(), timeout=20)).data)
        assert reply["error"]["code"] == "invalid_request" and PROBLEM in reply["error"]["message"]
        assert await client.report("s1", "r") is None, "the refused request was stored"
        await nc.request(f"tts.request.{token('s1')}", json.dumps(body).encode(), timeout=20)
        await nc.close()
        report = await client.wait("s1", "r", 20)
    assert report.status == "failed" and report.error is not None
    assert (report.error.code, report.error.message, report.error.retryable) == ("invalid_request", PROBLEM, False)
