"""A synth without a working engine process: it is not ready, and its requests are spoken by another synth."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from tests.support.engines import Mood, install_moody_engine
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack

pytestmark = pytest.mark.integration

OPTIONS = {"phone_id": "p", "transport": "none", "language": "en-US", "format": "pcm16", "fire_and_forget": True}


@pytest.fixture
def moods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mood]:
    """How the engine processes of two synths behave."""
    install_moody_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return [Mood(tmp_path / "one"), Mood(tmp_path / "other")]


def add(stack: Stack, mood: Mood, **settings: object) -> ServiceProcess:
    given = {"TTS_ENGINE": "moody", "MOODY": mood.path, "SYNTH_SLOTS": 1, "ENGINE_CANARY_SECONDS": 0.3}
    return stack.add("synth", **{**given, "SYNTH_STALL_SECONDS": 2, "TTS_PHRASE_CACHE": "off", **settings})


async def unready(synth: ServiceProcess, *words: str) -> None:
    async def says_so() -> bool:
        status, body = await synth.get("/readyz")
        return status == 503 and all(word in body.decode() for word in words)

    await until(says_so, f"/readyz says {words}", timeout_s=20)


def child_of(synth: ServiceProcess) -> int:
    (child,) = map(int, Path(f"/proc/{synth.pid}/task/{synth.pid}/children").read_text().split())
    return child


async def test_synth_is_unready_while_its_idle_engine_does_not_speak(moods: list[Mood], stack: Stack) -> None:
    synth = add(stack, moods[0])
    await synth.start()
    broken = child_of(synth)
    os.kill(broken, signal.SIGSTOP)
    await unready(synth, "no engine process can speak", f"process {broken} did not speak a few words within 2 s")
    await synth.until_ready(synth.ready)
    assert child_of(synth) != broken
    assert await synth.metric("orastream_synth_engine_canaries_total", result="hung") == 1
    assert await synth.metric("orastream_synth_engine_restarts_total") == 1
    assert await synth.metric("orastream_synth_engine_canaries_total", result="failed") == 0
    log = synth.text()
    assert '"why": "hangs"' in log and f"process {broken} did not speak a few words" in log


async def test_requests_are_spoken_by_another_synth_while_an_engine_does_not_start(
    moods: list[Mood], stack: Stack
) -> None:
    """Those that wait, those that it had queued, and the one that it was speaking."""
    broken = add(stack, moods[0])
    await broken.start()
    async with Client(stack.nats_server.url) as client:
        moods[0].set("slow")  # 4 s for a sentence
        asked = [await client.say("A sentence.", session_id=f"s{n}", **OPTIONS) for n in range(4)]
        await until(lambda: _works(broken), "it speaks")
        moods[0].set("raises")
        os.kill(child_of(broken), signal.SIGKILL)
        await unready(broken, "no engine process can speak", "the engine does not start: out of breath")
        asked.append(await client.say("A sentence.", session_id="late", **OPTIONS))
        other = add(stack, moods[1])
        await other.start()
        for accepted in asked:
            assert isinstance(accepted, Acceptance)
            report = await client.wait(accepted.session_id, accepted.request_id, 30)
            assert report.status == "delivered", report
        await until(lambda: _has_spoken(other, 5), "it has spoken all five")
        assert await broken.metric("orastream_synth_requests_total", outcome="failed") == 0
        await other.stop()
        moods[0].set("speaks")
        await broken.until_ready(broken.ready)
        again = await client.say("A sentence.", session_id="s", **OPTIONS)
        assert isinstance(again, Acceptance)
        assert (await client.wait("s", again.request_id, 20)).status == "delivered"


async def test_requests_wait_for_the_only_synth_until_its_engine_speaks_again(moods: list[Mood], stack: Stack) -> None:
    synth = add(stack, moods[0])
    await synth.start()
    async with Client(stack.nats_server.url) as client:
        moods[0].set("raises")
        await unready(synth, "the engine does not start: out of breath")
        asked = [await client.say("A sentence.", session_id=f"s{n}", **OPTIONS) for n in range(3)]
        await asyncio.sleep(2)
        assert await synth.metric("orastream_synth_working") == 0
        moods[0].set("speaks")
        for accepted in asked:
            assert isinstance(accepted, Acceptance)
            assert (await client.wait(accepted.session_id, accepted.request_id, 20)).status == "delivered"
        await until(lambda: _has_spoken(synth, 3), "it has spoken all three")
        assert await synth.metric("orastream_synth_engine_failures_total") == 0


async def test_first_sentence_of_an_engine_that_broke_is_spoken_by_the_next_process(
    moods: list[Mood], stack: Stack
) -> None:
    """Its first attempt fails, a canary fails before the next attempt, and the next process speaks."""
    synth = add(stack, moods[0], ENGINE_CANARY_SECONDS=600)
    await synth.start()
    async with Client(stack.nats_server.url) as client:
        moods[0].set("raises", child_of(synth))
        accepted = await client.say("A sentence.", session_id="s", **OPTIONS)
        assert isinstance(accepted, Acceptance)
        assert (await client.wait("s", accepted.request_id, 20)).status == "delivered"
        assert await synth.metric("orastream_synth_engine_failures_total") == 1
        assert await synth.metric("orastream_synth_engine_canaries_total", result="failed") == 1


async def _works(synth: ServiceProcess) -> bool:
    return await synth.metric("orastream_synth_working") == 1 and await synth.metric("orastream_synth_waiting") == 3


async def _has_spoken(synth: ServiceProcess, count: int) -> bool:
    return await synth.metric("orastream_synth_requests_total", outcome="complete") == count
