"""Any payload under tts.request has its documented outcome, and the workers continue."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import nats
import pytest

from orastream.broker import Broker
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.scenes import Scene
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def stored(scene: Scene, session: str, payload: bytes, **headers: str) -> int:
    """Store any payload as a request; returns its sequence."""
    nc = await nats.connect(scene.stack.nats_server.url)
    answer = await nc.request(f"tts.request.{subjects.token(session)}", payload, timeout=5, headers=headers or None)
    await nc.close()
    return int(json.loads(answer.data)["seq"])


def good(scene: Scene, **changes: Any) -> dict[str, Any]:
    """A valid request with `changes`."""
    body = {"text": "안녕하세요.", "sessionId": scene.name, "phoneId": "p1", "requestId": scene.id("r")}
    return {key: value for key, value in (body | changes).items() if value is not ...}


BAD_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("text", {"text": ...}),
    ("text", {"text": ""}),
    ("text", {"text": "가" * 6000}),
    ("text", {"text": "😀🎉"}),
    ("text", {"text": 5}),
    ("text: is no SSML at line 1, column 15", {"text": "<speak>가가<p></speak>", "ssml": True}),
    ("text", {"text": "<!DOCTYPE speak [<!ENTITY x '가가'>]><speak>&x;</speak>", "ssml": True}),
    ("ssml", {"ssml": "yes"}),
    ("phoneId", {"phoneId": ...}),
    ("phoneId", {"phoneId": "p\n1"}),
    ("sessionId", {"sessionId": "another"}),
    ("sessionId", {"sessionId": ...}),
    ("use_websocket", {"use_websocket": "yes"}),
    ("transport", {"transport": "pigeon"}),
    ("fire_and_forget", {"fire_and_forget": 1}),
    ("engine", {"engine": "nobody"}),
    ("voice", {"voice": "no-such-voice"}),
    ("speed", {"speed": 9}),
    ("speed", {"speed": True}),
    ("format", {"format": "ogg"}),
    ("sampleRate", {"sampleRate": 12}),
    ("ttlSeconds", {"ttlSeconds": 0}),
    ("replyTo", {"replyTo": "$JS.API.STREAM.DELETE.TTS_AUDIO"}),
]


@pytest.mark.parametrize(("field", "changes"), BAD_FIELDS, ids=[f"{f}-{i}" for i, (f, _) in enumerate(BAD_FIELDS)])
async def test_report_names_the_wrong_field(scene: Scene, field: str, changes: dict[str, Any]) -> None:
    """One final report: failed, invalid_request, not retryable. It does not contain the text."""
    await stored(scene, scene.name, json.dumps(good(scene, **changes)).encode())
    report = await scene.client.wait(scene.name, scene.id("r"), 15)
    assert report.status == "failed" and report.error is not None
    assert report.error.code == "invalid_request" and not report.error.retryable
    assert field in report.error.message
    assert "가가" not in report.error.message


UNDECODABLE = {
    "not-json": b"\x00\xffnonsense",
    "truncated": b'{"text":"a"',
    "array": b"[1,2]",
    "deep": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "nan": b'{"text":"a","speed":NaN}',
    "surrogate-key": b'{"text":"\\ud800","sessionId":"x","phoneId":"p"}',
    "empty": b"",
    "msgpack-truncated": b"\x82\xa4text",
}


@pytest.mark.parametrize("payload", UNDECODABLE.values(), ids=UNDECODABLE.keys())
async def test_undecodable_request_is_reported_under_its_sequence(scene: Scene, payload: bytes) -> None:
    """The report uses the sequence as id; the next valid request of the session is spoken."""
    sequence = await stored(scene, scene.name, payload)
    report = await scene.client.wait(scene.name, f"seq-{sequence}", 15)
    assert report.status == "failed" and report.error is not None and report.error.code == "invalid_request"
    after = await scene.client.say(
        "네.", session_id=scene.name, phone_id="p1", request_id=scene.id("after"), fire_and_forget=False
    )
    assert isinstance(after, Report) and after.status == "delivered"


@pytest.mark.parametrize("session", ["a.b.c", "with space", "세션-하나", "x" * 256, "*", ">"])
async def test_request_with_any_session_id_is_delivered(scene: Scene, session: str) -> None:
    """Ids that are not valid subject tokens are encoded, and arrive unchanged."""
    request = scene.id("요청 1")
    report = await scene.client.say(
        "안녕하세요.", session_id=session, phone_id="폰 1", request_id=request, fire_and_forget=False
    )
    assert isinstance(report, Report) and report.status == "delivered"
    got = utterance_of(await scene.stack.received(), request)
    assert got is not None and got["sessionId"] == session and got["phoneId"] == "폰 1" and got["violations"] == []


@pytest.mark.parametrize("same_message_id", [True, False], ids=["with-msg-id", "without"])
async def test_duplicate_is_not_spoken_again(scene: Scene, same_message_id: bool) -> None:
    """The duplicate's replyTo gets the first request's report."""
    headers = {"Nats-Msg-Id": f"{subjects.token(scene.name)}.{scene.id('r')}"} if same_message_id else {}
    first = await stored(scene, scene.name, json.dumps(good(scene)).encode(), **headers)
    await scene.client.wait(scene.name, scene.id("r"), 15)
    nc = await nats.connect(scene.stack.nats_server.url)
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    await nc.flush()
    again = await stored(scene, scene.name, json.dumps(good(scene, replyTo=inbox)).encode(), **headers)
    if same_message_id:
        assert again == first
    else:
        report = json.loads((await answers.next_msg(timeout=15)).data)
        assert report["status"] == "delivered" and report["requestSeq"] == first
    await nc.close()
    after = await scene.client.say(
        "네.", session_id=scene.name, phone_id="p1", request_id=scene.id("after"), fire_and_forget=False
    )
    assert isinstance(after, Report) and after.status == "delivered"
    received = await scene.stack.received(scene.name)
    assert [u["requestId"] for u in received["utterances"]] == [scene.id("r"), scene.id("after")]
    assert received["utterances"][0]["repeats"] == 0


async def test_same_request_id_in_two_sessions_is_delivered_in_both(scene: Scene) -> None:
    """A request id is unique within a session only: both requests are spoken."""
    for session in ("one", "two"):
        report = await scene.client.say(
            "안녕하세요.", session_id=scene.id(session), phone_id="p", request_id=scene.id("r"), fire_and_forget=False
        )
        assert isinstance(report, Report) and report.status == "delivered"
        received = await scene.stack.received(scene.id(session))
        assert [u["complete"] for u in received["utterances"]] == [True]


async def test_expired_request_is_reported(scene: Scene) -> None:
    """No synth claims it in time: one final report, `expired`, retryable. The next request is spoken."""
    for synth in scene.stack["synth"]:
        synth.freeze()
    try:
        await stored(scene, scene.name, msgpack.packb(good(scene, ttlSeconds=1)))
        report = await scene.client.wait(scene.name, scene.id("r"), 30)
    finally:
        for synth in scene.stack["synth"]:
            synth.thaw()
    assert report.status == "expired" and report.error is not None and report.error.retryable
    after = await scene.client.say(
        "네.", session_id=scene.name, phone_id="p1", request_id=scene.id("after"), fire_and_forget=False
    )
    assert isinstance(after, Report) and after.status == "delivered"


async def test_request_of_a_session_without_an_id_is_deleted_and_ends_no_process(scene: Scene) -> None:
    """Its subject is short enough for a publish but too long for a report's: it is deleted, and no process ends."""
    workers = [p for name in ("synth", "ws_bridge", "http_bridge") for p in scene.stack[name]]
    pids = [process.pid for process in workers]
    async with Broker(scene.stack.nats_server.url, name="test") as broker:
        js = JetStream(broker)
        session = "a" * 3950
        sequence = (await js.store(f"tts.request.{session}", b"{}")).sequence
        cancel = (await js.store(f"tts.cancel.{session}", b"{}")).sequence

        async def gone() -> bool:
            return [await js.get(NAMES.sessions_stream, number) for number in (sequence, cancel)] == [None, None]

        await until(gone, "both are deleted")
    await spoken(scene, good(scene))
    assert [process.pid for process in workers if process.running] == pids


@pytest.mark.parametrize(
    "headers",
    [
        {"Status": "200"},
        {"Status": "409"},
        {"Nats-Subject": "tts.session.other.request", "Nats-Sequence": "1", "Nats-Last-Sequence": "0"},
        {"Nats-Subject": "x", "Nats-Sequence": "100000", "Nats-Time-Stamp": "then", "Nats-Last-Sequence": "99999"},
    ],
    ids=["200", "409", "behind", "ahead"],
)
async def test_request_with_headers_of_the_server_is_delivered(scene: Scene, headers: dict[str, str]) -> None:
    """A message that contains such headers is processed as any other."""
    await spoken(scene, good(scene), **headers)


async def test_audio_messages_of_a_later_version_are_skipped(scene: Scene) -> None:
    """Synth, bridges and readers of the audio skip such messages."""
    session, token = subjects.token(scene.name), subjects.token(scene.id("r"))
    async with Broker(scene.stack.nats_server.url, name="test") as broker:
        await JetStream(broker).store(NAMES.put_audio(session, token), msgpack.packb({"type": "hum", "index": 0}))
        report = await spoken(scene, good(scene))
    stored_messages = [message async for message in scene.client.audio(scene.name, scene.id("r"), report.request_seq)]
    assert sum(isinstance(message, AudioChunk) for message in stored_messages) == report.total_chunks


async def spoken(scene: Scene, body: dict[str, Any], **headers: str) -> Report:
    """Publish the request, wait until it is delivered, and return its report."""
    await stored(scene, scene.name, json.dumps(body).encode(), **headers)
    report = await scene.client.wait(scene.name, scene.id("r"), 30)
    assert report.status == "delivered", report
    return report
