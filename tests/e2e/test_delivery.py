"""Delivery with real input: any publisher, all modes, order, and many sessions at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats
import pytest

from orastream.contract.audio import EXTENSIONS, Format
from orastream.contract.messages import Report
from tests.support.names import NAMES
from tests.support.npm import require_node
from tests.support.processes import until
from tests.support.scenes import Scene, reference
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

KOREAN = "안녕하세요. 만나서 반갑습니다."
ENGLISH = "Good morning. How are you today?"


@pytest.mark.parametrize("text", [KOREAN, ENGLISH])
@pytest.mark.parametrize(
    "options", [{"use_websocket": True}, {"use_websocket": False}, {}], ids=["ws", "http", "default"]
)
async def test_synchronous_report_equals_the_audio_at_oraserver(
    scene: Scene, text: str, options: dict[str, bool]
) -> None:
    """The report equals what OraServer has stored."""
    report = await scene.client.say(
        text, session_id=scene.id("s"), phone_id="p", request_id=scene.id("r"), fire_and_forget=False, **options
    )
    assert isinstance(report, Report) and report.status == "delivered"
    got = utterance_of(await scene.stack.received(), scene.id("r"))
    assert got is not None and got["complete"] and got["violations"] == []
    assert got["sha256"] == sha256(await reference(text))
    assert got["bytes"] == report.bytes
    assert report.transport == ("http" if options == {"use_websocket": False} else "websocket")
    assert report.first_audio_ms is not None and report.transfer_ms is not None
    assert report.total_chunks == report.delivered_chunks
    if report.transport == "websocket":
        assert got["chunks"] == report.total_chunks


async def test_json_request_of_a_plain_nats_client_is_delivered(scene: Scene) -> None:
    """The answer to a plain NATS request is the publish ack; without requestId the id is seq-<n>."""
    nc = await nats.connect(scene.stack.nats_server.url)
    body = {"text": KOREAN, "sessionId": scene.name, "phoneId": "p1"}
    answer = await nc.request(f"tts.request.{scene.name}", json.dumps(body).encode(), timeout=5)
    sequence = json.loads(answer.data)["seq"]
    await nc.close()
    report = await scene.client.wait(scene.name, f"seq-{sequence}", 20)
    assert report.status == "delivered"
    assert utterance_of(await scene.stack.received(), f"seq-{sequence}") is not None


async def test_json_request_of_a_node_js_client_is_delivered(scene: Scene) -> None:
    """A publisher in another language, which uses only the NATS text protocol."""
    require_node()
    script = Path(__file__).with_name("publisher.mjs")
    port = scene.stack.nats_server.url.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec("node", str(script), port, scene.name)
    assert await process.wait() == 0
    report = await scene.client.wait(scene.name, "from-node", 20)
    assert report.status == "delivered"


async def test_speak_answers_with_the_final_report(scene: Scene) -> None:
    """Request-reply: one request, answered by the final report."""
    nc = await nats.connect(scene.stack.nats_server.url)
    body = {"text": ENGLISH, "sessionId": scene.name, "phoneId": "p1", "fire_and_forget": False}
    answer = json.loads((await nc.request("tts.speak", json.dumps(body).encode(), timeout=20)).data)
    assert answer["status"] == "delivered" and answer["totalChunks"] == answer["deliveredChunks"] > 0
    bad = await nc.request("tts.speak", b'{"text":"x","sessionId":"s"}', timeout=5)
    await nc.close()
    assert json.loads(bad.data)["error"]["code"] == "invalid_request"
    assert "phoneId" in json.loads(bad.data)["error"]["message"]
    assert bad.headers is not None and "Nats-Service-Error" in bad.headers


async def test_reply_to_gets_the_final_report_in_the_encoding_of_the_request(scene: Scene) -> None:
    """`replyTo` gets the final report in the request's encoding; transport `none` has no delivery."""
    import msgpack

    nc = await nats.connect(scene.stack.nats_server.url)
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    body = {"text": KOREAN, "sessionId": scene.name, "phoneId": "p1", "transport": "none", "replyTo": inbox}
    await nc.publish(f"tts.request.{scene.name}", msgpack.packb(body))
    report = msgpack.unpackb((await answers.next_msg(timeout=20)).data)
    await nc.close()
    assert report["status"] == "delivered" and report["transport"] == "none"
    assert utterance_of(await scene.stack.received(), report["requestId"]) is None


async def test_requests_of_a_session_are_delivered_in_their_order(scene: Scene) -> None:
    """Any length and transport, with two processes of each worker."""
    texts = [KOREAN * 8, "네.", ENGLISH * 5, "Yes.", KOREAN, "아니요.", ENGLISH * 9, "좋아요.", KOREAN * 3, "Bye."]
    for number, text in enumerate(texts):
        await scene.client.say(
            text,
            session_id=scene.id("s"),
            phone_id="p",
            request_id=scene.id(f"r{number}"),
            use_websocket=number % 3 != 2,
        )
    for number in range(len(texts)):
        report = await scene.client.wait(scene.id("s"), scene.id(f"r{number}"), 60)
        assert report.status == "delivered"
    received = await scene.stack.received(scene.id("s"))
    assert [u["requestId"] for u in received["utterances"]] == [scene.id(f"r{n}") for n in range(len(texts))]
    ends = [u["completedAt"] for u in received["utterances"]]
    begins = [u["firstChunkAt"] for u in received["utterances"]]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False)), (
        "an utterance began before the end of the one before it"
    )
    assert all(u["violations"] == [] for u in received["utterances"])


async def test_two_hundred_sessions_are_delivered_at_the_same_time(scene: Scene) -> None:
    """All are complete and equal to the engine's audio byte for byte."""
    texts = [f"{KOREAN} {number % 4}번입니다. {ENGLISH}" for number in range(200)]

    async def one(number: int) -> Report:
        report = await scene.client.say(
            texts[number],
            session_id=scene.id(f"s{number}"),
            phone_id="p",
            request_id=scene.id(f"m{number}"),
            use_websocket=number % 5 != 0,
            fire_and_forget=False,
            ttlSeconds=120,
            wait_s=120,
        )
        assert isinstance(report, Report)
        return report

    reports = await asyncio.gather(*(one(number) for number in range(200)))
    assert {report.status for report in reports} == {"delivered"}
    received = await scene.stack.received()
    for number, text in enumerate(texts):
        got = utterance_of(received, scene.id(f"m{number}"))
        assert got is not None and got["complete"] and got["violations"] == []
        assert got["sha256"] == sha256(await reference(text)), number


async def test_full_session_is_refused_and_ended_requests_free_its_capacity(scene: Scene) -> None:
    """Ended requests and cancels free the session's capacity."""
    session = scene.id("s")
    for number in range(5):
        await scene.client.say(
            "네.", session_id=session, phone_id="p", request_id=scene.id(f"r{number}"), fire_and_forget=False
        )
        await scene.client.cancel(session)

    async def empty() -> bool:
        from orastream.contract import subjects
        from orastream.jetstream.api import JetStream

        stored = JetStream(scene.client.broker)
        return await stored.after(NAMES.sessions_stream, NAMES.session_events(subjects.token(session)), 0) is None

    await until(empty, "all requests and cancels of the session are deleted", timeout_s=20)


@pytest.mark.parametrize(
    ("fmt", "rate"),
    [
        ("pcm16", None),
        ("pcm16", 16_000),
        ("wav", 48_000),
        ("opus", None),
        ("flac", None),
        ("mulaw", None),
        ("alaw", None),
        ("mp3", None),
        ("aac", 24_000),
    ],
)
async def test_audio_has_the_requested_format_and_rate(scene: Scene, fmt: Format, rate: int | None) -> None:
    """Raw samples and other rates arrive as requested, over WebSocket and over HTTP."""
    sizes = []
    for number, use_websocket in enumerate((True, False)):
        report = await scene.client.say(
            KOREAN,
            session_id=scene.id("s"),
            phone_id="p",
            request_id=scene.id(f"r{number}"),
            use_websocket=use_websocket,
            fire_and_forget=False,
            format=fmt,
            **({} if rate is None else {"sampleRate": rate}),
        )
        assert isinstance(report, Report) and report.status == "delivered"
        spoken = (len(await reference(KOREAN)) - 44) / 2 / 22_050
        assert report.audio_seconds == pytest.approx(spoken, abs=0.002)
        got = utterance_of(await scene.stack.received(), scene.id(f"r{number}"))
        assert got is not None and got["violations"] == [] and got["file"].endswith(f".{EXTENSIONS[fmt]}")
        sizes.append((got["bytes"], got["sha256"]))
    assert sizes[0] == sizes[1]


def memory_bytes(pid: int, field: str) -> int:
    """A value of /proc/<pid>/status in bytes: VmRSS is the current memory, VmHWM the maximum so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


async def test_http_bridge_needs_at_most_three_times_the_audio(scene: Scene) -> None:
    """One long utterance. Its base64 alone would be a third larger than the audio."""
    bridges = scene.stack["http_bridge"]
    before = {bridge.pid: memory_bytes(bridge.pid, "VmRSS") for bridge in bridges}
    report = await scene.client.say(
        KOREAN * 160,
        session_id=scene.id("s"),
        phone_id="p",
        request_id=scene.id("r"),
        use_websocket=False,
        fire_and_forget=False,
        wait_s=90,
    )
    assert isinstance(report, Report) and report.status == "delivered"
    assert report.bytes > 12 << 20, "the audio is too short for this test"
    grown = max(memory_bytes(bridge.pid, "VmHWM") - before[bridge.pid] for bridge in bridges)
    assert grown < 3 * report.bytes
