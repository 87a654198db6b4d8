"""Barge-in: after a cancel no earlier request sends audio, and later requests are spoken."""

from __future__ import annotations

import asyncio

import pytest

from orastream.contract.audio import PcmSpec, seconds_of
from orastream.contract.messages import Report
from tests.support.scenes import TEXT, Scene, reference
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SHORT = "네, 알겠습니다."


def seconds_of_wav(size: int) -> float:
    """Seconds of speech in so many bytes of a streamed WAV of espeak."""
    seconds = seconds_of("wav", PcmSpec(22_050), size)
    assert seconds is not None
    return seconds


async def final(scene: Scene, request: str) -> Report:
    """Wait for the final report of a request of session s."""
    return await scene.client.wait(scene.id("s"), scene.id(request), 30)


async def test_cancel_ends_an_utterance_that_is_being_delivered(slow_scene: Scene) -> None:
    """The utterance ends without `complete`, and no chunk follows. The next request is delivered whole."""
    scene = slow_scene
    await scene.ask("s", "old")
    await scene.until_received("old")
    await scene.client.cancel(scene.id("s"))
    report = await final(scene, "old")
    assert report.status == "cancelled" and report.error is None
    at_cancel = utterance_of(await scene.stack.received(), scene.id("old"))
    new = await scene.client.say(
        SHORT, session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"
    received = await scene.stack.received()
    old, spoken = utterance_of(received, scene.id("old")), utterance_of(received, scene.id("new"))
    assert old is not None and at_cancel is not None and not old["complete"]
    assert old["chunks"] == at_cancel["chunks"], "chunks of a cancelled utterance came after its final report"
    assert report.sent_seconds >= report.audio_seconds
    assert report.sent_seconds >= round(seconds_of_wav(at_cancel["bytes"]), 3) > 0
    assert spoken is not None and spoken["sha256"] == sha256(await reference(SHORT))


async def test_cancel_ends_all_queued_requests_of_the_session(slow_scene: Scene) -> None:
    """The cancel ends the current request and the queued ones, of both transports."""
    scene = slow_scene
    for number in range(4):
        await scene.ask("s", f"r{number}", use_websocket=number % 2 == 0)
    await scene.until_received("r0")
    await scene.client.cancel(scene.id("s"))
    for number in range(4):
        assert (await final(scene, f"r{number}")).status == "cancelled"
    received = await scene.stack.received(scene.id("s"))
    assert [u["requestId"] for u in received["utterances"]] == [scene.id("r0")]
    assert not received["utterances"][0]["complete"]


async def test_cancel_of_one_request_ends_only_that_request(slow_scene: Scene) -> None:
    """Only the named request is cancelled; the others are delivered in order."""
    scene = slow_scene
    for name in ("a", "b", "c"):
        await scene.client.say(SHORT, session_id=scene.id("s"), phone_id="p", request_id=scene.id(name))
    await scene.client.cancel(scene.id("s"), scene.id("b"))
    statuses = [(await final(scene, name)).status for name in ("a", "b", "c")]
    assert statuses[0] == statuses[2] == "delivered" and statuses[1] in ("cancelled", "delivered")
    received = await scene.stack.received(scene.id("s"))
    completed_ids = [u["requestId"] for u in received["utterances"] if u["complete"]]
    assert [i for i in completed_ids if i != scene.id("b")] == [scene.id("a"), scene.id("c")]


async def test_cancel_ends_a_request_that_no_synth_has_pulled(slow_scene: Scene) -> None:
    """Without a synth, the cancel still ends the request. When synth is back, it does not speak it."""
    scene = slow_scene
    for synth in scene.stack["synth"]:
        synth.freeze()
    try:
        await scene.ask("s", "old")
        await scene.client.cancel(scene.id("s"))
        report = await final(scene, "old")
    finally:
        for synth in scene.stack["synth"]:
            synth.thaw()
    assert report.status == "cancelled"
    new = await scene.client.say(
        SHORT, session_id=scene.id("s"), phone_id="p", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"
    assert utterance_of(await scene.stack.received(), scene.id("old")) is None


@pytest.mark.parametrize("pause_ms", [0, 3, 6, 10, 20])
async def test_cancel_ends_a_request_around_the_time_of_its_claim(slow_scene: Scene, pause_ms: int) -> None:
    """A cancel at any time between request and first chunk: cancelled or delivered whole, with no chunk after it."""
    scene = slow_scene
    await scene.ask("s", "old")
    await asyncio.sleep(pause_ms / 1000)
    await scene.client.cancel(scene.id("s"))
    assert (await final(scene, "old")).status == "cancelled"
    new = await scene.client.say(
        SHORT, session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"


async def test_repeated_cancels_and_a_cancel_without_requests_do_no_harm(slow_scene: Scene) -> None:
    """Repeated cancels do no harm and free the session's capacity."""
    scene = slow_scene
    await scene.client.cancel(scene.id("s"))
    await scene.ask("s", "old")
    await scene.until_received("old", chunks=1)
    await scene.client.cancel(scene.id("s"))
    await scene.client.cancel(scene.id("s"))
    assert (await final(scene, "old")).status == "cancelled"
    new = await scene.client.say(
        TEXT[:20], session_id=scene.id("s"), phone_id="p", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"


async def test_cancel_ends_an_utterance_while_oraserver_reads_slowly(slow_scene: Scene) -> None:
    """Only the send buffers limit the audio in flight; none of it comes after the next utterance's first chunk."""
    scene = slow_scene
    await scene.stack.misbehave(read_delay_ms=300)
    try:
        await scene.ask("s", "old")
        await scene.until_received("old", chunks=1)
        await scene.client.cancel(scene.id("s"))
        assert (await final(scene, "old")).status == "cancelled"
    finally:
        await scene.stack.misbehave()
    new = await scene.client.say(
        SHORT, session_id=scene.id("s"), phone_id="phone-1", request_id=scene.id("new"), fire_and_forget=False
    )
    assert isinstance(new, Report) and new.status == "delivered"
    received = await scene.stack.received(scene.id("s"))
    assert all(u["violations"] == [] for u in received["utterances"])
