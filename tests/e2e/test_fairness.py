"""One session does not delay others: many requests, a slow or missing OraServer, a request without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orastream.client.acceptance import Acceptance
from orastream.contract.audio_messages import AudioEnd
from tests.support.processes import Logs, until
from tests.support.scenes import DEADLINE_S, Scene, running_node, scene_on
from tests.support.services import Stack
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

LONG = "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다."
SHORT = "네, 알겠습니다."
LATE_MS = 1000
"""Without turns, or if a suspended utterance went on too late, its listener would wait for seconds. On a busy machine
the first chunks, of 80 ms and 160 ms, may be a little late."""


async def test_session_with_many_requests_does_not_delay_another_session(slow_scene: Scene) -> None:
    """One session has more requests than all synths queue; the only request of another session is still soon spoken."""
    scene, many = slow_scene, [f"a{number}" for number in range(40)]
    for name in many:
        await scene.client.say(LONG, session_id=scene.id("a"), phone_id="p", request_id=scene.id(name), ttlSeconds=600)
    await scene.client.say(SHORT, session_id=scene.id("b"), phone_id="p", request_id=scene.id("b"))
    report = await scene.client.wait(scene.id("b"), scene.id("b"), DEADLINE_S)
    begun = [await scene.client.report(scene.id("a"), scene.id(name)) for name in many]
    await scene.client.cancel(scene.id("a"))
    for name in many:
        await scene.client.wait(scene.id("a"), scene.id(name), DEADLINE_S)
    assert report.status == "delivered", report
    assert sum(one is not None and one.status != "queued" for one in begun) <= 14, (
        "the single request was spoken after too many requests of the other session"
    )


@pytest.fixture(scope="module")
def one_slot_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node with one synth that has one slot; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("one-slot-node")
    limits = {"SYNTH_SLOTS": 1, "SYNTH_OPEN_TEXTS": 4, "SYNTH_LEAD_SECONDS": 3}
    with running_node(folder, node_logs, replicas=1, TTS_ENGINE_RTF=0.1, **limits) as stack:
        yield stack


@pytest.fixture
async def one_slot(one_slot_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """The scene of one test on the node with one slot, with its own ids."""
    logs.update(node_logs)
    async with scene_on(one_slot_node, tmp_path.name) as scene:
        yield scene


async def test_single_request_waits_for_a_sentence_not_for_an_utterance(one_slot: Scene) -> None:
    """Four utterances of 20 s are begun, one after the other. A short one is delivered before any of them is complete,
    and no listener has to wait for a turn in the middle of an utterance.
    """
    scene, many = one_slot, [f"long{number}" for number in range(4)]
    for name in many:
        await scene.ask(name, name, LONG * 3, use_websocket=True)
    synth = scene.stack.only("synth")

    async def suspended() -> bool:
        return await synth.metric("orastream_synth_suspended") >= 1

    await until(suspended, "a request that gave its slot up", timeout_s=20)
    await scene.ask("short", "short", SHORT, use_websocket=True)
    assert (await scene.final("short", "short")).status == "delivered"
    reports = [await scene.client.report(scene.id(name), scene.id(name)) for name in many]
    assert not [report for report in reports if report is not None and report.final], "it waited for an utterance"
    for name in many:
        report = await scene.final(name, name)
        assert report.status == "delivered" and report.underrun_ms < LATE_MS, report
        await scene.check(name, LONG * 3)


async def test_session_with_many_long_requests_does_not_starve_others(one_slot: Scene) -> None:
    """Of its requests only the first one has a listener; the others let everybody else speak."""
    scene, many = one_slot, [f"long{number}" for number in range(8)]
    for name in many:
        await scene.ask("many", name, LONG * 3, use_websocket=True, ttlSeconds=600)
    await scene.until_received("long0", chunks=8)
    for name in ("one", "two", "three"):
        await scene.ask(name, name, SHORT, use_websocket=True)
        assert (await scene.client.wait(scene.id(name), scene.id(name), 10)).status == "delivered"
        await asyncio.sleep(1)
    statuses = [await scene.client.report(scene.id("many"), scene.id(name)) for name in many]
    assert not [report for report in statuses[3:] if report is not None and report.final], "too late for this test"
    await scene.client.cancel(scene.id("many"))
    for name in many:
        await scene.final("many", name)


async def test_request_that_cannot_be_spoken_needs_no_slot(one_slot: Scene) -> None:
    """It is refused while the only slot is taken; a wave of such requests does not delay what can be spoken."""
    scene, bad = one_slot, [f"bad{number}" for number in range(100)]
    await scene.ask("file", "file", LONG * 10, use_websocket=False)
    await scene.until_synthesising("file", "file")
    for name in bad:
        ids = {"sessionId": scene.id("bad"), "requestId": scene.id(name), "phoneId": "p"}
        await scene.client.submit({"text": SHORT, "engine": "vits", **ids})
    for name in bad:
        report = await scene.final("bad", name)
        assert report.status == "failed" and report.error is not None and report.error.code == "invalid_request"
    busy = await scene.client.report(scene.id("file"), scene.id("file"))
    assert busy is not None and not busy.final, "too late: the slot was free"
    await scene.client.cancel(scene.id("file"))
    await scene.final("file", "file")


async def test_utterances_of_a_dead_synth_go_on_before_requests_that_wait(slow_scene: Scene) -> None:
    """Long files wait for each slot. What the dead synth had begun, live or as a file, does not wait for them."""
    scene, begun, files = slow_scene, [f"begun{n}" for n in range(4)], [f"file{n}" for n in range(10)]
    for number, name in enumerate(begun):
        await scene.ask(name, name, LONG * 4, use_websocket=number % 2 == 0)
    for name in begun:
        await scene.until_synthesising(name, name)
    for name in files:
        await scene.ask(name, name, LONG * 8, use_websocket=False, ttlSeconds=600)
    scene.stack["synth"][0].kill()
    for name in begun:
        assert (await scene.final(name, name)).status == "delivered"
    for name in files:
        await scene.client.cancel(scene.id(name))
    for name in files:
        await scene.final(name, name)


async def test_cancelled_utterance_was_not_made_to_its_end(one_slot: Scene) -> None:
    """While others wait, only what its listener hears soon is made."""
    scene = one_slot
    for name in ("cancelled", "other"):
        await scene.ask(name, name, LONG * 20, use_websocket=True)
    await scene.until_received("other", chunks=1)
    await scene.client.cancel(scene.id("cancelled"), scene.id("cancelled"))
    await scene.client.cancel(scene.id("other"), scene.id("other"))
    for name in ("cancelled", "other"):
        report = await scene.final(name, name)
        assert report.status == "cancelled"
        got = utterance_of(await scene.stack.received(), scene.id(name))
        assert got is not None and not got["complete"]


async def test_texts_that_wait_for_their_writers_never_hold_a_slot(one_slot: Scene) -> None:
    """More texts than SYNTH_OPEN_TEXTS are empty and wait for their writers; others are spoken at once."""
    scene, empty = one_slot, [f"empty{number}" for number in range(12)]
    for name in empty:
        ids = {"sessionId": scene.id(name), "requestId": scene.id(name), "phoneId": "p"}
        await scene.client.submit({"text": "", "textStream": True, "idleSeconds": 60, "useWebsocket": True, **ids})
    synth = scene.stack.only("synth")

    async def full() -> bool:
        return await synth.metric("orastream_synth_open_texts") >= 5

    await until(full, "as many open texts as may be", timeout_s=20)
    await scene.ask("whole", "whole", SHORT, use_websocket=True)
    assert (await scene.client.wait(scene.id("whole"), scene.id("whole"), 15)).status == "delivered"
    for name in empty:
        await scene.client.cancel(scene.id(name), scene.id(name))
    for name in empty:
        assert (await scene.final(name, name)).status == "cancelled"


async def test_link_to_a_slow_oraserver_is_not_closed(scene: Scene) -> None:
    """It reads audio in real time, and answers pings after that. The utterance takes longer than any timeout."""
    await scene.stack.misbehave(read_delay_ms=700)
    await scene.client.say(
        LONG * 3, session_id=scene.id("s"), phone_id="p", request_id=scene.id("r"), use_websocket=True, sampleRate=8_000
    )
    report = await scene.final("s", "r")
    assert report.status == "delivered", report
    assert report.delivered_chunks > 16, "the audio is too short for this test"
    assert (report.reconnects, report.retransmitted) == (0, 0)


@pytest.mark.parametrize("bridge", ["ws_bridge", "http_bridge"])
async def test_bridge_ends_requests_with_transport_none_without_a_synth(scene: Scene, bridge: str) -> None:
    """Any bridge ends the request, by its ttl or by a cancel, which frees capacity for a later request."""
    for service in {"synth", "ws_bridge", "http_bridge"} - {bridge}:
        for process in scene.stack[service]:
            process.kill()
    session = scene.id("s")
    for name, ttl in (("late", 1), ("cancelled", 60)):
        await scene.client.say(
            SHORT, session_id=session, phone_id="p", request_id=scene.id(name), transport="none", ttlSeconds=ttl
        )
    await scene.client.cancel(session, scene.id("cancelled"))
    report = await scene.client.wait(session, scene.id("cancelled"), 10)
    assert (report.status, report.transport) == ("cancelled", "none")
    report = await scene.client.wait(session, scene.id("late"), 15)
    assert report.status == "expired" and report.error is not None and report.error.code == "expired"
    for process in scene.stack["synth"]:
        await process.start()
    await scene.client.say(SHORT, session_id=session, phone_id="p", request_id=scene.id("new"), transport="none")
    assert (await scene.client.wait(session, scene.id("new"), 15)).status == "delivered"


async def test_synth_stops_when_the_delivery_of_its_request_has_failed(slow_scene: Scene) -> None:
    """OraServer is gone. When the request has failed, synth stops, and its slot is free."""
    scene = slow_scene
    session, request = scene.id("s"), scene.id("r")
    stored = await scene.client.say(
        LONG * 40, session_id=session, phone_id="p", request_id=request, use_websocket=True, fire_and_forget=True
    )
    assert isinstance(stored, Acceptance)
    await scene.until_received("r", chunks=1)
    scene.stack.only("oraserver").kill()
    report = await scene.client.wait(session, request, DEADLINE_S)
    assert report.error is not None and report.error.code == "oraserver_unreachable"

    async def free() -> bool:
        return not sum([await synth.metric("orastream_synth_working") for synth in scene.stack["synth"]])

    await until(free, "the slot is free", timeout_s=5)
    messages = [message async for message in scene.client.audio(session, request, stored.request_seq)]
    end = messages[-1]
    assert isinstance(end, AudioEnd) and end.status == "failed"
    assert end.error is not None and end.error.code == "oraserver_unreachable"
