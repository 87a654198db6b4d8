"""`orastream redeliver`: audio that did not reach OraServer is delivered again from the stream, in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, unpack
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.scenes import TEXT, Scene
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def orastream(scene: Scene, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command against the scene's node."""
    environment = {**os.environ, "NATS_URL": str(scene.stack.settings["NATS_URL"]), "COLUMNS": "200"}
    command = [sys.executable, "-m", "orastream.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def redelivered(output: str) -> dict[str, str]:
    """The new request of each old one, as the command prints them."""
    lines = [line.split() for line in output.splitlines() if ": delivered again as " in line]
    return {words[0].rstrip(":"): words[4].rstrip(",") for words in lines}


async def fail_at_oraserver(scene: Scene, *requests: str, text: str = TEXT, **options: object) -> None:
    """Have these requests spoken while OraServer is away."""
    await scene.stack.misbehave(refuse_seconds=60)
    for request in requests:
        await scene.ask("s", request, text, **options)
    for request in requests:
        report = await scene.final("s", request)
        assert report.error is not None and report.error.code == "oraserver_unreachable", report
    await scene.stack.misbehave()


@pytest.mark.parametrize("options", [{"use_websocket": True}, {"use_websocket": False, "format": "opus"}])
async def test_failed_requests_are_delivered_again_in_order_with_text_and_audio(
    scene: Scene, options: dict[str, object]
) -> None:
    await fail_at_oraserver(scene, "first", "second", **options)
    await scene.ask("s", "between", **options)
    assert (await scene.final("s", "between")).status == "delivered"
    done = orastream(scene, "redeliver", scene.id("s"))
    assert done.returncode == 0, done.stderr
    again = redelivered(done.stdout)
    assert list(again) == [scene.id("first"), scene.id("second")]
    utterances = []
    for old, new in again.items():
        report = await scene.client.wait(scene.id("s"), new, 30)
        assert (report.status, report.redeliver_of) == ("delivered", old), report
        got = utterance_of(await scene.stack.received(), new)
        assert got is not None and got["complete"] and got["violations"] == [], got
        assert got["text"] == TEXT
        utterances.append(got)
    assert utterances[0]["completedAt"] <= utterances[1]["firstChunkAt"]
    between = utterance_of(await scene.stack.received(), scene.id("between"))
    assert between is not None and {got["sha256"] for got in utterances} == {between["sha256"]}
    repeated = orastream(scene, "redeliver", scene.id("s"))
    assert repeated.returncode == 1 and "has failed at OraServer" in repeated.stderr


async def test_one_delivered_request_can_be_delivered_again_and_an_unknown_one_cannot(scene: Scene) -> None:
    await scene.ask("s", "once", use_websocket=True)
    await scene.delivered("s", "once")
    done = orastream(scene, "redeliver", scene.id("s"), scene.id("once"))
    assert done.returncode == 0, done.stderr
    (new,) = redelivered(done.stdout).values()
    assert (await scene.client.wait(scene.id("s"), new, 30)).status == "delivered"
    assert orastream(scene, "redeliver", scene.id("s"), "unknown").returncode == 1
    ids = {"sessionId": scene.id("s"), "phoneId": "p"}
    await scene.client.submit({**ids, "redeliverOf": "unknown", "requestId": scene.id("wrong")})
    report = await scene.final("s", "wrong")
    assert report.error is not None and report.error.code == "invalid_request"
    assert report.error.message.startswith("redeliverOf: ")


async def test_request_whose_synthesis_was_stopped_cannot_be_delivered_again(slow_scene: Scene) -> None:
    """OraServer refuses it at once, so that synth stops in its middle. The command says what to do."""
    scene = slow_scene
    await scene.stack.misbehave(ws_status=403)
    await scene.ask("s", "stopped", TEXT * 3, use_websocket=True)
    assert (await scene.final("s", "stopped")).status == "failed"
    await scene.stack.misbehave()
    done = orastream(scene, "redeliver", scene.id("s"))
    assert done.returncode == 1 and "is not complete; send the text again" in done.stdout, (done.stdout, done.stderr)


async def test_streamed_text_is_delivered_again_with_its_sentences(scene: Scene) -> None:
    await scene.stack.misbehave(refuse_seconds=60)
    pieces = ["안녕하세요. ", "오늘은 날씨가 ", "맑습니다. ", "고맙습니다."]
    utterance = scene.client.utterance(session_id=scene.id("s"), phone_id="p", request_id=scene.id("old"))
    async with utterance as u:
        for piece in pieces:
            await u.write(piece)
    assert (await scene.final("s", "old")).status == "failed"
    await scene.stack.misbehave()
    done = orastream(scene, "redeliver", scene.id("s"))
    (new,) = redelivered(done.stdout).values()
    assert (await scene.client.wait(scene.id("s"), new, 30)).status == "delivered"
    got = utterance_of(await scene.stack.received(), new)
    assert got is not None and got["complete"] and got["text"] == "".join(pieces)


async def test_two_runs_of_the_command_at_the_same_time_deliver_once(scene: Scene) -> None:
    await fail_at_oraserver(scene, "old", use_websocket=True)
    for process in scene.stack["synth"]:
        os.kill(process.pid, signal.SIGSTOP)  # so that no report shows the first run
    try:
        runs = [orastream(scene, "redeliver", scene.id("s"), "--wait", "0") for _ in range(2)]
    finally:
        for process in scene.stack["synth"]:
            os.kill(process.pid, signal.SIGCONT)
    first, second = (redelivered(run.stdout) for run in runs)
    assert first == second and len(first) == 1
    assert (await scene.client.wait(scene.id("s"), first[scene.id("old")], 30)).status == "delivered"


async def test_synth_that_dies_while_it_copies_is_replaced(scene: Scene) -> None:
    """The other synth goes on with the copy; OraServer gets each chunk once."""
    await fail_at_oraserver(scene, "old", text=TEXT * 15, use_websocket=True)
    first, second = scene.stack["synth"]
    for process in (first, second):
        os.kill(process.pid, signal.SIGSTOP)
    try:
        (new,) = redelivered(orastream(scene, "redeliver", scene.id("s"), "--wait", "0").stdout).values()
        os.kill(first.pid, signal.SIGCONT)

        async def begun() -> bool:
            return await last_of(scene, new) is not None

        await until(begun, "the first synth copies", timeout_s=20, poll_s=0.001)
        first.kill()
        assert not isinstance(await last_of(scene, new), AudioEnd), "too late: the copy was complete"
    finally:
        os.kill(second.pid, signal.SIGCONT)
    report = await scene.client.wait(scene.id("s"), new, 40)
    assert report.status == "delivered", report
    got = utterance_of(await scene.stack.received(), new)
    assert got is not None and got["complete"] and got["violations"] == []


async def last_of(scene: Scene, request: str) -> AudioChunk | AudioEnd | None:
    """The last chunk or end that is stored for the request."""
    subject = NAMES.audio(*subjects.tokens(scene.id("s"), request))
    stored = await JetStream(scene.client.broker).last(NAMES.audio_stream, subject)
    message = unpack(stored.data) if stored is not None else None
    return message if isinstance(message, AudioChunk | AudioEnd) else None
