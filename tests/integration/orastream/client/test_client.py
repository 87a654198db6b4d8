"""The clients against a real nats-server. The tests end requests themselves, in the same way as bridges."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
import types
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nats.aio.msg import Msg

from orastream.broker import Broker
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.contract import codec
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.codec import Encoding
from orastream.contract.errors import InvalidRequest, NodeUnavailable, Overloaded, SettingsError, WaitTimeout
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.ending import end, ending_all, stored_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import free_port

pytestmark = pytest.mark.integration

FIELDS = {"text": "안녕하세요", "sessionId": "s1", "phoneId": "p1", "requestId": "r1"}


async def say(client: Client, session: str = "s1", **more: Any) -> Acceptance | Report:
    return await client.say("안녕하세요", session_id=session, phone_id="p1", **more)


# ---- asking


async def test_say_returns_an_acceptance_with_fire_and_forget(js: JetStream, client: Client) -> None:
    acceptance = await say(client, request_id="r1", use_websocket=True, voice="ko")
    assert acceptance == Acceptance("r1", "s1", acceptance.request_seq)  # type: ignore[union-attr]
    stored = await stored_request(js, "s1")
    assert (stored.sequence, stored.encoding, stored.problem) == (acceptance.request_seq, "json", None)
    assert stored.request is not None
    assert (stored.request.text, stored.request.voice, stored.stated_transport) == ("안녕하세요", "ko", "websocket")
    assert stored.request.fire_and_forget is True


async def test_error_names_an_unusable_id_by_its_wire_name(client: Client) -> None:
    """In every call, and for each of the ids."""
    calls_by_field: dict[str, list[Callable[[], Awaitable[object]]]] = {
        "sessionId": [
            lambda: client.say("hello", session_id="", phone_id="p"),
            lambda: client.utterance(session_id="", phone_id="p").__aenter__(),
            lambda: client.cancel(""),
            lambda: client.report("", "r"),
            lambda: client.wait("", "r", 1),
            lambda: anext(client.reports("")),
            lambda: anext(client.audio("", "r", 1)),
        ],
        "phoneId": [
            lambda: client.say("hello", session_id="s", phone_id=""),
            lambda: client.utterance(session_id="s", phone_id="").__aenter__(),
        ],
        "requestId": [
            lambda: client.say("hello", session_id="s", phone_id="p", request_id=""),
            lambda: client.utterance(session_id="s", phone_id="p", request_id="").__aenter__(),
            lambda: client.cancel("s", ""),
            lambda: client.report("s", ""),
            lambda: client.wait("s", "", 1),
            lambda: anext(client.audio("s", "", 1)),
        ],
    }
    for field, calls in calls_by_field.items():
        for call in calls:
            with pytest.raises(InvalidRequest, match=f"^{field}: must be 1 to 256 bytes") as caught:
                await call()
            assert caught.value.field == field


@pytest.mark.parametrize("identifier", [None, 5, b"s"])
async def test_an_id_of_a_wrong_type_is_refused(client: Client, identifier: Any) -> None:
    for call in (client.cancel(identifier), client.wait(identifier, "r"), client.report("s", identifier)):
        with pytest.raises(InvalidRequest, match="has the wrong type: must be a string"):
            await call


async def test_options_in_python_spelling_are_stored_under_their_wire_names(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    """`say`, `utterance` and the blocking client store them under their wire names."""
    options: dict[str, Any] = {"ttl_seconds": 7, "sample_rate": 16_000, "reply_to": "_INBOX.x"}
    await say(client, "asyncio", **options)
    async with client.utterance(text="hello", session_id="utterance", phone_id="p1", idle_seconds=3, **options):
        pass
    with BlockingClient(nats_server.url) as blocking:
        await asyncio.to_thread(
            lambda: blocking.say("hello", session_id="blocking", phone_id="p1", request_id="r", **options)
        )
        await asyncio.to_thread(blocking.close)
    for session in ("asyncio", "utterance", "blocking"):
        request = (await stored_request(js, session)).request
        assert request is not None
        assert (request.ttl_seconds, request.sample_rate, request.reply_to) == (7, 16_000, "_INBOX.x")
        assert request.idle_seconds == (3 if session == "utterance" else 10)


async def test_say_returns_the_final_report_without_fire_and_forget(js: JetStream, client: Client) -> None:
    async with ending_all(js, "delivered", transport="websocket"):
        report = await say(client, fire_and_forget=False, wait_s=5)
    assert isinstance(report, Report)
    assert (report.status, report.transport, report.session_id) == ("delivered", "websocket", "s1")


async def test_say_assigns_an_id_to_a_request_without_one(js: JetStream, client: Client) -> None:
    first, second = await say(client), await say(client)
    assert isinstance(first, Acceptance) and isinstance(second, Acceptance)
    assert first.request_id != second.request_id
    assert (await stored_request(js, "s1", first.request_id)).sequence == first.request_seq


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_reports_have_the_encoding_of_the_request(js: JetStream, client: Client, encoding: Encoding) -> None:
    acceptance, waits = await client.submit(FIELDS, encoding=encoding)
    assert not waits
    stored = await stored_request(js, "s1")
    await end(js, stored, "delivered")
    last = await js.last(NAMES.reports_stream, NAMES.report("s1", "r1"))
    assert last is not None
    assert codec.encoding_of(last.data) == stored.encoding == encoding
    assert await client.wait("s1", acceptance.request_id, 5) == Report.decode(last.data)


async def test_submit_writes_the_defaults_of_the_client_into_the_request(
    nats_server: NatsServer, js: JetStream
) -> None:
    async with Client(nats_server.url, fire_and_forget=False, transport="http") as client:
        _, waits = await client.submit(FIELDS)
        assert waits
        stored = await stored_request(js, "s1", "r1")
        assert stored.request is not None
        assert (stored.request.fire_and_forget, stored.stated_transport) == (False, "http")
        _, waits = await client.submit(FIELDS | {"requestId": "r2", "use_websocket": True, "fire_and_forget": True})
        assert not waits
        assert (await stored_request(js, "s1", "r2")).stated_transport == "websocket"


@pytest.mark.parametrize("session", ["s.1 with spaces", "세션 하나", "*", ">", "a/b", "x" * 256])
async def test_client_accepts_any_id(js: JetStream, client: Client, session: str) -> None:
    request_id = f"요청.{session}"[:80]
    acceptance = await say(client, session, request_id=request_id)
    assert isinstance(acceptance, Acceptance)
    stored = await stored_request(js, session)
    assert (stored.session_id, stored.request_id) == (session, request_id)
    await end(js, stored, "delivered")
    report = await client.report(session, request_id)
    assert report is not None
    assert (report.status, report.session_id) == ("delivered", session)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "가" * 5001}, "text"),
        ({"text": "🙂🙂"}, "text"),
        ({"text": "\ud800 !"}, "text"),
        ({"text": None}, "text"),
        ({"sessionId": ""}, "sessionId"),
        ({"sessionId": "a\nb"}, "sessionId"),
        ({"phoneId": 5}, "phoneId"),
        ({"requestId": "seq-5"}, "requestId"),
        ({"use_websocket": "yes"}, "use_websocket"),
        ({"fire_and_forget": 1}, "fire_and_forget"),
        ({"speed": float("nan")}, "speed"),
        ({"speed": True}, "speed"),
        ({"ttlSeconds": 10**400}, "ttlSeconds"),
        ({"sampleRate": 10**30}, "sampleRate"),
        ({"format": "ogg"}, "format"),
        ({"replyTo": "$JS.API.STREAM.DELETE.TTS_SESSIONS"}, "replyTo"),
    ],
)
async def test_submit_stores_no_invalid_request(
    js: JetStream, client: Client, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.submit(FIELDS | wrong)
    assert caught.value.field == field
    assert await js.after(NAMES.sessions_stream, "tts.session.>", 0) is None


async def test_submit_refuses_a_text_too_large_for_nats(js: JetStream) -> None:
    client = Client(js.broker, max_text_chars=2_000_000)
    with pytest.raises(InvalidRequest, match="text: "):
        await client.submit(FIELDS | {"text": "a" * 1_048_000})


async def test_client_leaves_the_given_broker_open(js: JetStream) -> None:
    async with Client(js.broker) as client:
        await client.submit(FIELDS)
    assert js.broker.connected
    await client.submit(FIELDS)


async def test_duplicate_returns_the_acceptance_of_the_first_request(client: Client) -> None:
    first, second = await say(client, request_id="r1"), await say(client, request_id="r1")
    assert isinstance(first, Acceptance) and isinstance(second, Acceptance)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert second.request_seq == first.request_seq
    other = await say(client, "s2", request_id="r1")
    assert isinstance(other, Acceptance)
    assert (other.duplicate, other.request_seq > first.request_seq) == (False, True)


async def test_duplicate_that_waits_gets_the_report_of_the_first_request(js: JetStream, client: Client) -> None:
    await say(client, request_id="r1")
    final = await end(js, await stored_request(js, "s1"), "delivered")
    assert await say(client, request_id="r1", fire_and_forget=False, wait_s=5) == final


async def test_full_session_does_not_refuse_requests_of_another_session(broker: Broker) -> None:
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(max_pending_per_session=2, audio_max_bytes=1 << 20)).ensure()
    client = Client(broker)
    for _ in range(2):
        await say(client)
    with pytest.raises(Overloaded) as caught:
        await say(client)
    assert caught.value.retryable
    await say(client, "s2")
    first = await js.after(NAMES.sessions_stream, NAMES.session_request("s1"), 0)
    assert first is not None
    await js.delete(NAMES.sessions_stream, first.sequence)
    await say(client)


async def test_a_request_that_supersedes_cancels_a_full_session_and_asks_again(broker: Broker) -> None:
    """Another refusal is not answered with a cancel."""
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(max_pending_per_session=2, audio_max_bytes=1 << 20)).ensure()
    client = Client(broker)
    stored = [await say(client) for _ in range(2)]
    asking = asyncio.create_task(say(client, supersede=True))
    while await js.after(NAMES.sessions_stream, NAMES.session_cancel("s1"), 0) is None:
        assert not asking.done()
        await asyncio.sleep(0.01)
    first = stored[0]
    assert isinstance(first, Acceptance)
    await js.delete(NAMES.sessions_stream, first.request_seq)  # as its bridge does
    accepted = await asking
    assert isinstance(accepted, Acceptance) and not accepted.duplicate
    with pytest.raises(Overloaded, match="all that it had is being cancelled"):
        await say(client, supersede=True)
    with pytest.raises(Overloaded, match="no room for the request"):
        await say(client)
    cancels = [message async for message in later_cancels(js)]
    assert len(cancels) == 2


async def later_cancels(js: JetStream) -> AsyncIterator[Stored]:
    after = 0
    while (message := await js.after(NAMES.sessions_stream, NAMES.session_cancel("s1"), after)) is not None:
        after = message.sequence
        yield message


# ---- waiting and cancelling


async def test_wait_times_out_and_a_later_wait_returns_the_report(js: JetStream, client: Client) -> None:
    await say(client, request_id="r1")
    with pytest.raises(WaitTimeout) as caught:
        await client.wait("s1", "r1", 0.1)
    assert (caught.value.session_id, caught.value.request_id, caught.value.retryable) == ("s1", "r1", True)
    final = await end(js, await stored_request(js, "s1"), "delivered")
    assert await client.wait("s1", "r1", 5) == final


async def test_wait_returns_the_report_after_a_restart_of_nats(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    await say(client, request_id="r1")
    stored = await stored_request(js, "s1")
    waiting = asyncio.create_task(client.wait("s1", "r1", 30))
    nats_server.kill()
    await nats_server.start()
    final = await end(js, stored, "delivered")
    assert await waiting == final


async def test_cancel_is_stored_after_the_requests_that_it_covers(js: JetStream, client: Client) -> None:
    first = await say(client)
    sequence = await client.cancel("s1")
    second = await say(client)
    assert isinstance(first, Acceptance) and isinstance(second, Acceptance)
    assert first.request_seq < sequence < second.request_seq
    assert await client.cancel("s1", "r 1") > second.request_seq
    stored = await js.get(NAMES.sessions_stream, sequence)
    assert stored is not None
    assert stored.subject == NAMES.session_cancel("s1")
    # Without a message id a repeated publish (after a lost ack) would also cancel requests stored in between.
    assert str(stored.headers.get("Nats-Msg-Id")).startswith("s1.cancel.")


@pytest.mark.parametrize(("session", "request_id"), [("", None), ("a\0", None), ("s1", ""), ("s1", "x" * 257)])
async def test_cancel_refuses_an_unusable_id(client: Client, session: str, request_id: str | None) -> None:
    with pytest.raises(InvalidRequest):
        await client.cancel(session, request_id)


# ---- reports and audio


async def test_report_returns_each_state_of_a_request(js: JetStream, client: Client) -> None:
    assert await client.report("s1", "r1") is None
    await say(client, request_id="r0")
    await say(client, request_id="r1")
    queued = await client.report("s1", "r1")
    stored = await stored_request(js, "s1", "r1")
    assert queued == stored.report("queued")
    await ReportStore(js).write(stored, stored.report("synthesizing", transport="http"), 0)
    claimed = await client.report("s1", "r1")
    assert claimed is not None
    assert (claimed.status, claimed.transport) == ("synthesizing", "http")
    await end(js, stored, "failed")
    assert await client.report("s1", "r1") == stored.report("failed")
    assert await client.report("s1", "r2") is None


async def test_reports_yields_live_progress(js: JetStream, client: Client) -> None:
    reports = ReportStore(js)
    await say(client, request_id="old")
    await end(js, await stored_request(js, "s1"), "delivered")
    seen: list[tuple[str, str]] = []
    begun = asyncio.Event()

    async def follow(session: str | None, history: bool, until: int) -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        async for report in client.reports(session, history=history):
            seen.append((report.request_id, report.status))
            begun.set()
            if len(seen) == until:
                break
        return seen

    with_history = asyncio.create_task(follow("s1", True, 3))
    await asyncio.wait_for(begun.wait(), 5)
    await say(client, request_id="r1")
    await say(client, "s2", request_id="other")
    await end(js, await stored_request(js, "s2"), "expired")
    stored = await stored_request(js, "s1", "r1")
    await reports.write(stored, stored.report("synthesizing"), 0)
    async for report in client.reports("s1", history=True):
        seen.append((report.request_id, report.status))
        if len(seen) == 2:
            break
    assert seen == [("old", "delivered"), ("r1", "synthesizing")]
    await end(js, stored, "delivered")
    assert await asyncio.wait_for(with_history, 5) == [
        ("old", "delivered"),
        ("r1", "synthesizing"),
        ("r1", "delivered"),
    ]
    everything = await asyncio.wait_for(follow(None, True, 3), 5)
    assert sorted(everything) == [("old", "delivered"), ("other", "expired"), ("r1", "delivered")]


async def test_audio_yields_the_messages_of_a_request_in_order(js: JetStream, client: Client) -> None:
    put = NAMES.put_audio("s1", "r1")
    start = AudioStart(7, "pcm16", 22_050, 1, "espeak", "ko-KR")
    attempt = (await js.store(put, start.pack())).sequence
    chunks = [AudioChunk(attempt, index, index * 10, 0, bytes([index]) * 4) for index in range(3)]
    last = AudioEnd(attempt, "complete", 3, 12, 0.001)
    for message in (chunks[1], chunks[0], last, chunks[2]):
        await js.store(put, message.pack())
    async with asyncio.timeout(5):
        got = [message async for message in client.audio("s1", "r1", 7)]
    assert got == [start, *chunks, last]


# ---- no node


async def test_client_raises_within_its_timeout_when_nats_is_unreachable() -> None:
    began = time.monotonic()
    with pytest.raises(NodeUnavailable, match="no NATS server answers at .*; start it, or correct the address$"):
        async with asyncio.timeout(5), Client(f"nats://127.0.0.1:{free_port()}", connect_timeout_s=0.5):
            pass
    assert time.monotonic() - began < 2


# ---- sync callers


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(20) for future in [pool.submit(call) for call in calls]]


async def test_blocking_client_uses_one_connection_for_many_threads(nats_server: NatsServer, js: JetStream) -> None:
    name = f"blocking-{uuid.uuid4().hex}"
    with BlockingClient(nats_server.url, name=name) as client:

        def call(number: int) -> Acceptance | Report:
            return client.say(
                "hello", session_id=f"s{number}", phone_id="p", request_id="r", fire_and_forget=False, wait_s=10
            )

        async with ending_all(js, "delivered"):
            calls = [lambda number=number: call(number) for number in range(16)]  # type: ignore[misc]
            results = await asyncio.to_thread(in_threads, calls)
        assert [(report.session_id, report.status) for report in results] == [
            (f"s{number}", "delivered") for number in range(16)
        ]
        assert await asyncio.to_thread(client.report, "s3", "r") == results[3]
        assert await asyncio.to_thread(client.wait, "s3", "r", 5.0) == results[3]
        assert await asyncio.to_thread(client.cancel, "s3") > results[3].request_seq
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(client.close)
        again = await asyncio.to_thread(lambda: client.say("hello", session_id="s", phone_id="p"))
        assert isinstance(again, Acceptance)  # a closed client connects again
        await asyncio.to_thread(client.close)
    assert "orastream" not in {thread.name for thread in threading.enumerate()}


async def test_blocking_client_raises_the_errors_of_the_async_client(nats_server: NatsServer, js: JetStream) -> None:
    with BlockingClient(nats_server.url) as client:
        with pytest.raises(RuntimeError, match="event loop"):
            client.say("hello", session_id="s", phone_id="p")
        with pytest.raises(InvalidRequest):
            await asyncio.to_thread(lambda: client.say("", session_id="s", phone_id="p"))
        await asyncio.to_thread(lambda: client.say("hello", session_id="s", phone_id="p", request_id="r"))
        with pytest.raises(WaitTimeout):
            await asyncio.to_thread(client.wait, "s", "r", 0.1)
        await asyncio.to_thread(client.close)


async def test_blocking_client_opens_a_new_connection_in_a_forked_child(nats_server: NatsServer, js: JetStream) -> None:
    def parent_and_child() -> tuple[Acceptance | Report, int, Acceptance | Report]:
        with BlockingClient(nats_server.url) as client:
            before = client.say("hello", session_id="parent", phone_id="p")
            child = os.fork()
            if child == 0:  # like a worker of a prefork server
                code = 1
                try:
                    for _ in range(2):
                        client.say("hello", session_id="child", phone_id="p")
                    code = 0
                except BaseException:  # noqa: BLE001 - the child must not run the parent's code
                    traceback.print_exc()
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            return before, os.waitstatus_to_exitcode(status), client.say("hello", session_id="parent", phone_id="p")

    before, code, after = await asyncio.wait_for(asyncio.to_thread(parent_and_child), 20)
    assert code == 0
    assert isinstance(before, Acceptance) and isinstance(after, Acceptance)
    assert after.request_seq == before.request_seq + 3  # the child's two requests are between


async def test_blocking_client_raises_within_its_timeout_when_nats_is_unreachable() -> None:
    """Also to concurrent callers: none waits for the others' connection attempts."""
    client = BlockingClient(f"nats://127.0.0.1:{free_port()}")

    def waited_s() -> float:
        began = time.monotonic()
        with pytest.raises(NodeUnavailable):
            client.say("hello", session_id="s", phone_id="p")
        return time.monotonic() - began

    waited = await asyncio.gather(*(asyncio.to_thread(waited_s) for _ in range(6)))
    assert max(waited) < 15, "a caller waited for the connection attempt of another one, which takes 5 s"
    await asyncio.to_thread(client.close)


async def test_close_during_a_connection_attempt_leaves_no_thread() -> None:
    """A caller that waits for the connection gets NodeUnavailable, and no thread is left."""
    client = BlockingClient(f"nats://127.0.0.1:{free_port()}")

    def say() -> None:
        with pytest.raises(NodeUnavailable):
            client.say("hello", session_id="s", phone_id="p")

    saying = asyncio.create_task(asyncio.to_thread(say))
    while "orastream" not in {thread.name for thread in threading.enumerate()}:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(client.close)
    await saying
    assert "orastream" not in {thread.name for thread in threading.enumerate()}


# ---- from_django


@pytest.fixture
def django(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The settings object of a Django project."""
    settings = types.SimpleNamespace()
    conf = types.ModuleType("django.conf")
    conf.settings = settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django", types.ModuleType("django"))
    monkeypatch.setitem(sys.modules, "django.conf", conf)
    for name in ("NATS_URL", "NATS_CREDS", "NATS_INBOX_PREFIX", "DEFAULT_TRANSFER_METHOD", "DEFAULT_FIRE_AND_FORGET"):
        monkeypatch.delenv(name, raising=False)
    return settings


@pytest.mark.parametrize("where", ["django", "environment"])
def test_from_django_treats_an_empty_value_as_absent(
    django: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    for name in ("NATS_URL", "NATS_CREDS", "DEFAULT_TRANSFER_METHOD", "DEFAULT_FIRE_AND_FORGET", "TTS_MAX_TEXT_CHARS"):
        monkeypatch.setenv(name, "")
        if where == "django":
            setattr(django, name, "")
    assert BlockingClient.from_django()._options == BlockingClient()._options | {"transport": "websocket"}


async def test_from_django_uses_the_settings_of_django(
    nats_server: NatsServer, js: JetStream, django: types.SimpleNamespace
) -> None:
    django.NATS_URL = nats_server.url
    django.DEFAULT_TRANSFER_METHOD = "http"
    django.DEFAULT_FIRE_AND_FORGET = False
    with BlockingClient.from_django() as client:
        async with ending_all(js, "delivered"):
            report = await asyncio.to_thread(lambda: client.say("hello", session_id="s1", phone_id="p1", wait_s=10))
        assert isinstance(report, Report)
        assert (report.status, report.transport) == ("delivered", "http")
        await asyncio.to_thread(client.close)


async def test_from_django_uses_the_inbox_prefix(
    nats_server: NatsServer, js: JetStream, django: types.SimpleNamespace
) -> None:
    django.NATS_URL = nats_server.url
    django.NATS_INBOX_PREFIX = "_INBOX.shop"
    received: list[str] = []

    async def note(message: Msg) -> None:
        received.append(message.subject)

    async with nats_server.connect() as connection:
        await connection.subscribe("_INBOX.>", cb=note)
        await connection.flush()
        with BlockingClient.from_django() as client:
            await asyncio.to_thread(lambda: client.report("s1", "r1"))
            await asyncio.to_thread(client.close)
        await connection.flush()
    assert received and all(subject.startswith("_INBOX.shop.") for subject in received)
    django.NATS_INBOX_PREFIX = "_INBOX.*"
    with pytest.raises(SettingsError, match="NATS_INBOX_PREFIX"):
        BlockingClient.from_django()


async def test_from_django_prefers_django_settings_over_the_environment(
    nats_server: NatsServer, js: JetStream, django: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", nats_server.url)
    monkeypatch.setenv("DEFAULT_TRANSFER_METHOD", "http")
    monkeypatch.setenv("DEFAULT_FIRE_AND_FORGET", "false")
    django.DEFAULT_FIRE_AND_FORGET = True
    with BlockingClient.from_django() as client:
        acceptance = await asyncio.to_thread(lambda: client.say("hello", session_id="s1", phone_id="p1"))
        assert isinstance(acceptance, Acceptance)
        assert (await stored_request(js, "s1")).stated_transport == "http"
        await asyncio.to_thread(client.close)


@pytest.mark.parametrize("name", ["ORASERVER_WEBSOCKET_URL", "WEBSOCKET_CHUNK_SIZE", "WEBSOCKET_MAX_RETRIES"])
def test_from_django_warns_of_settings_that_have_moved(django: types.SimpleNamespace, name: str) -> None:
    setattr(django, name, "x")
    with pytest.warns(UserWarning, match=name):
        BlockingClient.from_django()


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEFAULT_TRANSFER_METHOD", "carrier pigeon"), ("DEFAULT_FIRE_AND_FORGET", "perhaps"), ("NATS_URL", "http://a")],
)
def test_from_django_names_a_setting_with_an_invalid_value(
    django: types.SimpleNamespace, name: str, value: str
) -> None:
    setattr(django, name, value)
    with pytest.raises(SettingsError, match=name):
        BlockingClient.from_django()
