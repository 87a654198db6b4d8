"""Kills a process during a streamed text: the file stays the same, and each token is spoken once."""

from __future__ import annotations

import asyncio

import pytest

from orastream import TextStream
from tests.support.processes import until
from tests.support.scenes import TEXT, Scene, reference
from tests.support.services import ServiceProcess
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

HALF = TEXT.index("어제는") + 3  # two sentences and the beginning of the third


def dictation(scene: Scene, **options: object) -> TextStream:
    return scene.client.utterance(
        session_id=scene.id("s1"), phone_id="phone-1", request_id=scene.id("r1"), idleSeconds=30, **options
    )


async def write(utterance: TextStream, text: str) -> None:
    for offset in range(0, len(text), 4):
        await utterance.write(text[offset : offset + 4])


async def with_work(processes: list[ServiceProcess], metric: str) -> ServiceProcess:
    """Wait until one process has the work, and return it."""
    found: list[ServiceProcess] = []

    async def has() -> bool:
        found[:] = [p for p in processes if p.running and await p.metric(metric) > 0]
        return bool(found)

    await until(has, f"{metric} > 0", timeout_s=30)
    return found[0]


async def heard_whole(scene: Scene, utterance: TextStream, text: str = TEXT) -> None:
    """All that is spoken of `text`, which is TEXT."""
    report = await utterance.wait(60)
    assert report.status == "delivered", report
    got = utterance_of(await scene.stack.received(), scene.id("r1"))
    assert got is not None and got["complete"] and got["violations"] == []
    assert got["sha256"] == sha256(await reference(TEXT))
    assert got["text"] == text and len(got["texts"]) == 8


@pytest.mark.parametrize("when", ["while it waits for text", "in the middle of a sentence"])
async def test_synth_is_killed(scene: Scene, when: str) -> None:
    async with dictation(scene) as u:
        await write(u, TEXT[:HALF])
        await scene.until_received("r1", chunks=1)
        metric = "open_texts" if when == "while it waits for text" else "working"
        (await with_work(scene.stack["synth"], f"orastream_synth_{metric}")).kill()
        await write(u, TEXT[HALF:])
    await heard_whole(scene, u)


async def until_said(scene: Scene, text: str) -> None:
    """Wait until OraServer has nearly all audio of the written text, so that synth waits for more text."""
    enough = 0.9 * len(await reference(text))

    async def said() -> bool:
        got = utterance_of(await scene.stack.received(), scene.id("r1"))
        return got is not None and got["bytes"] > enough

    await until(said, f"{enough:g} bytes at OraServer", timeout_s=30)


async def test_synth_drains_while_it_waits_for_text(scene: Scene) -> None:
    """A draining synth does not wait for the writer; the other synth takes over at once."""
    async with dictation(scene) as u:
        await write(u, TEXT[:HALF])
        await until_said(scene, TEXT[: TEXT.index("어제는")])
        victim = await with_work(scene.stack["synth"], "orastream_synth_open_texts")
        began = asyncio.get_running_loop().time()
        assert await victim.stop() == 0
        taken_s = asyncio.get_running_loop().time() - began
        await with_work(scene.stack["synth"], "orastream_synth_open_texts")
        await write(u, TEXT[HALF:])
    await heard_whole(scene, u)
    assert taken_s < 6, "a drain lasts its nine seconds only for what is being spoken"


@pytest.mark.parametrize("use_websocket", [True, False], ids=["ws_bridge", "http_bridge"])
async def test_its_bridge_is_killed(scene: Scene, use_websocket: bool) -> None:
    service = "ws_bridge" if use_websocket else "http_bridge"
    async with dictation(scene, use_websocket=use_websocket) as u:
        await write(u, TEXT[:HALF])
        await scene.until_synthesising("s1", "r1")
        (await with_work(scene.stack[service], f"orastream_{service}_sessions")).kill()
        await write(u, TEXT[HALF:])
    if use_websocket:
        await heard_whole(scene, u)
    else:
        assert (await u.wait(60)).status == "delivered"
        await scene.check("r1")


async def test_nats_server_is_killed_and_restarted_with_its_data(scene: Scene) -> None:
    async with dictation(scene) as u:
        await write(u, TEXT[:HALF])
        await scene.until_received("r1", chunks=1)
        scene.stack.nats_server.kill()
        await scene.stack.nats_server.start()
        await write(u, TEXT[HALF:])
    await heard_whole(scene, u)


async def test_all_synths_are_gone(scene: Scene) -> None:
    """A streamed text without a synth ends; it does not wait forever."""
    async with dictation(scene) as u:
        await write(u, TEXT[:HALF])
        await with_work(scene.stack["synth"], "orastream_synth_open_texts")
        for synth in scene.stack["synth"]:
            synth.kill()
        report = await u.wait(60)
    assert report.status == "failed" and report.error is not None and report.error.code == "synth_stalled"


THOUGHT = "<think>어제는 무엇을 했더라? 3명이 왔다.</think> "


async def test_synth_is_killed_while_the_llm_thinks(scene: Scene) -> None:
    """The next synth skips the same, and goes on with the sentence after it."""
    at = TEXT.index("어제는")
    async with dictation(scene) as u:
        await write(u, TEXT[:at] + THOUGHT[:20])
        await until_said(scene, TEXT[:at])  # the tag has ended the last sentence
        (await with_work(scene.stack["synth"], "orastream_synth_open_texts")).kill()
        await with_work(scene.stack["synth"], "orastream_synth_open_texts")
        await write(u, THOUGHT[20:] + TEXT[at:])
    await heard_whole(scene, u, TEXT[:at] + THOUGHT + TEXT[at:])


@pytest.mark.parametrize("use_websocket", [True, False], ids=["ws_bridge", "http_bridge"])
@pytest.mark.parametrize("victim", ["synth", "bridge"])
async def test_a_process_is_killed_during_a_text_with_nothing_to_say(
    scene: Scene, use_websocket: bool, victim: str
) -> None:
    bridge = "ws_bridge" if use_websocket else "http_bridge"
    async with dictation(scene, use_websocket=use_websocket) as u:
        await write(u, THOUGHT[:20])
        synth = await with_work(scene.stack["synth"], "orastream_synth_open_texts")
        owner = await with_work(scene.stack[bridge], f"orastream_{bridge}_sessions")
        (synth if victim == "synth" else owner).kill()
        await write(u, THOUGHT[20:])
    report = await u.wait(60)
    assert (report.status, report.total_chunks, report.error) == ("delivered", 0, None)
    assert (await scene.stack.received(scene.id("s1")))["utterances"] == []
