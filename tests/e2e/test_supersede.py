"""A request with `supersede` ends what its session asked before, and nothing else, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.contract import subjects
from orastream.contract.messages import Report
from orastream.contract.names import Names
from tests.support.processes import Logs, until
from tests.support.scenes import TEXT, Scene, reference, running_node, scene_on
from tests.support.services import Stack
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SHORT = "네, 알겠습니다."
PLACES = 6
"""TTS_MAX_PENDING_PER_SESSION."""


@pytest.fixture(scope="module")
def one_slot_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("one-slot-node")
    settings: dict[str, object] = {"TTS_ENGINE_RTF": 0.25, "SYNTH_SLOTS": 1, "WEBSOCKET_END_FRAMES": "on"}
    with running_node(folder, node_logs, replicas=1, TTS_MAX_PENDING_PER_SESSION=PLACES, **settings) as stack:
        yield stack


@pytest.fixture
async def scene(one_slot_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """Afterwards no request is stored any more."""
    logs.update(node_logs)
    async with scene_on(one_slot_node, tmp_path.name) as scene:
        yield scene
        async with one_slot_node.nats_server.connect() as connection:

            async def nothing_stored() -> bool:
                return (await connection.jetstream().stream_info("TTS_SESSIONS")).state.messages == 0

            await until(nothing_stored, "each request is tidied up", timeout_s=30)


async def publish(scene: Scene, **fields: Any) -> None:
    """Store a request of session s as it is, with a message id of its own."""
    body = {"text": SHORT, "sessionId": scene.id("s"), "phoneId": "phone-1", **fields}
    async with scene.stack.nats_server.connect() as connection:
        subject = Names().request(subjects.token(scene.id("s")))
        await connection.jetstream().publish(
            subject, json.dumps(body).encode(), headers={"Nats-Msg-Id": uuid.uuid4().hex}
        )


async def status(scene: Scene, request: str) -> str:
    return (await scene.final("s", request)).status


async def barge_in(scene: Scene, request: str = "new", **options: Any) -> Report:
    """Have a short text spoken that supersedes all before it in session s; delivered."""
    report = await scene.client.say(
        SHORT,
        session_id=scene.id("s"),
        phone_id="phone-1",
        request_id=scene.id(request),
        fire_and_forget=False,
        supersede=True,
        **options,
    )
    assert isinstance(report, Report) and report.status == "delivered", report
    return report


async def test_it_ends_what_is_delivered_and_what_waits_and_is_delivered_itself(scene: Scene) -> None:
    """OraServer gets no chunk of the old one after the first chunk of the new one, and an end frame of it before."""
    await scene.ask("s", "old")
    await scene.ask("s", "waits", use_websocket=False)
    await scene.ask("s", "waits too")
    await scene.ask("another", "other", SHORT)
    await scene.until_received("old")
    await barge_in(scene)
    for request in ("old", "waits", "waits too"):
        assert await status(scene, request) == "cancelled"
    assert (await scene.final("another", "other")).status == "delivered"
    received = await scene.stack.received(scene.id("s"))
    old, new = received["utterances"]
    assert (old["requestId"], old["complete"], old["ended"]) == (scene.id("old"), False, "cancelled")
    assert old["violations"] == new["violations"] == []
    assert new["complete"] and new["sha256"] == sha256(await reference(SHORT))
    report = await scene.client.report(scene.id("s"), scene.id("old"))
    assert report is not None and old["chunks"] <= report.delivered_chunks + 1


async def test_it_ends_what_is_delivered_before_a_synth_has_claimed_it(scene: Scene) -> None:
    """All slots may be busy for long. Here the only synth is frozen, after it has stored the old one's audio."""
    await scene.ask("s", "old")
    await scene.stack.misbehave(read_delay_ms=300)
    await scene.until_stored("s", "old")
    (synth,) = scene.stack["synth"]
    synth.freeze()
    try:
        accepted = await scene.ask("s", "new", SHORT, supersede=True)
        assert await status(scene, "old") == "cancelled"
        assert await scene.client.report(scene.id("s"), scene.id("new")) is not None
    finally:
        synth.thaw()
        await scene.stack.misbehave()
    report = await scene.final("s", "new")
    assert (report.status, report.request_seq) == ("delivered", accepted.request_seq)


async def test_a_duplicate_an_invalid_one_and_one_of_another_engine_end_nothing(scene: Scene) -> None:
    await barge_in(scene, "first")
    await scene.ask("s", "old")
    await scene.until_received("old")
    await publish(scene, requestId=scene.id("first"), supersede=True)
    await publish(scene, requestId=scene.id("bad"), supersede=True, speed=9)
    await publish(scene, requestId=scene.id("engine"), supersede=True, engine="another")
    for request in ("bad", "engine"):
        report = await scene.final("s", request)
        assert report.error is not None and report.error.code == "invalid_request"
    await scene.delivered("s", "old")


async def test_it_is_not_lost_when_the_synth_and_the_bridge_are_killed(scene: Scene) -> None:
    await scene.ask("s", "old")
    await scene.ask("s", "waits")
    await scene.until_received("old", chunks=1)
    processes = [*scene.stack["synth"], *scene.stack["ws_bridge"]]
    for process in processes:
        process.kill()
    await scene.ask("s", "new", SHORT, supersede=True)
    await asyncio.gather(*(process.start() for process in processes))
    assert [await status(scene, request) for request in ("old", "waits", "new")] == ["cancelled"] * 2 + ["delivered"]


async def test_it_ends_requests_of_other_transports(scene: Scene) -> None:
    """Each of the four supersedes the one before it, which is being spoken."""
    await scene.ask("s", "r0", use_websocket=False)
    for number, transport in enumerate(("none", "http", "websocket"), 1):
        await scene.until_synthesising("s", f"r{number - 1}")
        await scene.ask("s", f"r{number}", transport=transport, supersede=True)
    await scene.until_synthesising("s", "r3")
    await barge_in(scene, "r4", transport="http")
    assert [await status(scene, f"r{number}") for number in range(4)] == ["cancelled"] * 4
    received = await scene.stack.received(scene.id("s"))
    assert [u["requestId"] for u in received["utterances"] if u["complete"]] == [scene.id("r4")]


async def test_a_full_session_is_cancelled_first(scene: Scene) -> None:
    for number in range(PLACES):
        await scene.ask("s", f"r{number}")
    await barge_in(scene)
    assert [await status(scene, f"r{number}") for number in range(PLACES)] == ["cancelled"] * PLACES


async def test_a_streamed_text_supersedes_before_it_is_written(scene: Scene) -> None:
    await scene.ask("s", "old")
    await scene.until_received("old")
    options: dict[str, Any] = {"request_id": scene.id("new"), "supersede": True, "use_websocket": True}
    async with scene.client.utterance(session_id=scene.id("s"), phone_id="phone-1", **options) as utterance:
        assert await status(scene, "old") == "cancelled"
        await utterance.write(SHORT)
    assert isinstance(utterance.acceptance, Acceptance)
    assert (await utterance.wait(30)).status == "delivered"
    got = utterance_of(await scene.stack.received(), scene.id("new"))
    assert got is not None and got["complete"] and len(TEXT) > len(SHORT)
