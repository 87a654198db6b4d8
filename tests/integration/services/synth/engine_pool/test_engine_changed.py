"""A new engine process that reports another EngineInfo: two different engines never speak under one name."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineChanged, EngineError
from tests.support.engines import LOG, eventually, install_choir_engine, spoken
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = pytest.mark.integration

MakePool = Callable[..., EnginePool]


@pytest.fixture
def rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of the engine's next process."""
    install_choir_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "rate"
    path.write_text("8000")
    monkeypatch.setenv("CHOIR_RATE_FILE", str(path))
    monkeypatch.setenv("CHOIR_AT_ONCE", "1")
    return path


@pytest.fixture
def choir(rate: Path) -> MakePool:
    return partial(EnginePool, "choir", log=LOG)


async def test_pool_does_not_use_a_new_process_with_another_engine(choir: MakePool, rate: Path) -> None:
    async with choir(slots=2) as pool:
        before, (victim, other) = pool.info, pool.pids
        rate.write_text("16000")
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(20):
            change = await pool.changed()
        assert isinstance(change, EngineChanged)
        assert str(change).endswith("since its first process started: default_sample_rate_hz, voices")
        assert (pool.info, pool.restarts, pool.pids) == (before, 0, [other])
        async with pool.acquire() as slot:
            assert slot.pid == other and await spoken(slot, "a", voice="calm"), "the remaining process does not speak"


async def test_pool_replaces_a_killed_process_when_the_engine_is_the_same(choir: MakePool) -> None:
    async with choir(slots=1) as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        await eventually(lambda: pool.restarts == 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.changed(), 0.05)


async def test_pool_does_not_start_with_two_different_engines(choir: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHOIR_VERSION", "own")
    async with choir(slots=1) as pool:
        assert pool.info.version == str(pool.pids[0])
    with pytest.raises(EngineError, match="'choir' has changed since its first process started: version"):
        async with choir(slots=2):
            raise AssertionError("the pool started")


async def test_synth_ends_and_the_next_synth_speaks_with_the_changed_engine(rate: Path, stack: Stack) -> None:
    (synth,) = await stack.start("synth", TTS_ENGINE="choir", SYNTH_SLOTS=1)
    async with Client(stack.nats_server.url) as client:
        (child,) = map(int, Path(f"/proc/{synth.pid}/task/{synth.pid}/children").read_text().split())
        rate.write_text("16000")
        os.kill(child, signal.SIGKILL)
        options = {"phone_id": "p", "transport": "none", "language": "en-US", "format": "pcm16"}
        accepted = await client.say("One.", session_id="s", **options, fire_and_forget=True)

        async def ended() -> bool:
            return not synth.running

        await until(ended, "synth ends", timeout_s=30)
        assert synth.returncode == 1
        assert "the engine has changed; synth ends" in synth.text()
        assert "default_sample_rate_hz, voices" in synth.text() and "Traceback" not in synth.text()
        await synth.start()
        report = await client.wait("s", accepted.request_id, 20)
        assert report.status == "delivered"
        assert report.audio_seconds == pytest.approx(400 / 16_000), (
            "the audio does not have the rate of its first attempt"
        )
