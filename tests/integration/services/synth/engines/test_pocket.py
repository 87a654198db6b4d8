"""The engine `pocket` in processes of its own environment, as synth uses it: the pool, and a whole synth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineError, UnknownEngine, UnknownVoice
from tests.support.engines import LOG, spoken
from tests.support.pocket_model import FRAME_BYTES, FRAMES, RATE
from tests.support.services import Stack
from tests.support.torch_engines import pocket_config, torch_python

__all__ = ["pocket_config"]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.torch,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

HELLO = "안녕하세요, 반갑습니다."


@pytest.fixture(scope="module")
def python() -> str:
    return str(torch_python())


@pytest.fixture(scope="module")
def settings(pocket_config: Path) -> dict[str, str]:
    return {"POCKET_CONFIG": str(pocket_config), "POCKET_LANGUAGE": "ko-KR"}


@pytest.fixture
def environment(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(python: str, settings: dict[str, str]) -> AsyncIterator[EnginePool]:
    """A pool of one process, which the tests share."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        async with EnginePool("pocket", 1, log=LOG, python=python) as pool:
            yield pool


async def test_pool_speaks_and_stops(pool: EnginePool) -> None:
    info = pool.info
    assert (info.name, info.at_once, info.deterministic, info.scales) == ("pocket", 1, True, True)
    assert {name: voice.sample_rate_hz for name, voice in info.voices.items()} == {"jun": RATE, "mina": RATE}
    async with pool.acquire() as engine:
        whole = await spoken(engine, HELLO)
        assert len(whole) > 3 * FRAMES * FRAME_BYTES, "the model did not speak up to the limit of the library"
        async with aclosing(engine.speak(HELLO * 8, voice="mina", language="ko-KR")) as speech:
            assert await anext(speech)
        assert await spoken(engine, HELLO) == whole, "the stopped sentence changed the next one"
        with pytest.raises(UnknownVoice, match="there is no 'eve' in POCKET_VOICES"):
            await spoken(engine, HELLO, voice="eve")
        with pytest.raises(UnknownVoice, match="speaks 'ko-KR', not 'en-US'"):
            await spoken(engine, HELLO, language="en-US")
    assert pool.restarts == 0


@pytest.mark.usefixtures("environment")
async def test_pool_names_a_missing_folder_before_it_starts(
    python: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before torch is imported."""
    monkeypatch.setenv("POCKET_VOICES", str(tmp_path / "none"))
    with pytest.raises(EngineError, match="POCKET_VOICES: .*none: the folder cannot be read"):
        async with EnginePool("pocket", 1, log=LOG, python=python):
            raise AssertionError("the pool started")


@pytest.mark.usefixtures("environment")
async def test_error_names_the_fix_when_the_packages_are_missing() -> None:
    for name, fix in (("pocket", "make torch"), ("gpt_sovits_local", "make sovits")):
        with pytest.raises(UnknownEngine, match=f"the engine {name} .*`{fix}`.*ENGINE_PYTHON="):
            async with EnginePool(name, 1, log=LOG):
                raise AssertionError("the pool started")


async def test_synth_speaks_with_the_engine(
    python: str, settings: dict[str, str], pool: EnginePool, stack: Stack
) -> None:
    """It gives the same bytes as any other process; a cancelled utterance ends at once, and the next one is spoken."""
    async with pool.acquire() as engine:
        pcm = await spoken(engine, HELLO)
    synth = stack.add("synth", TTS_ENGINE="pocket", ENGINE_PYTHON=python, SYNTH_SLOTS=1, **settings)
    synth.launch()
    await synth.until_ready(synth.ready, timeout_s=150)  # importing torch takes half a minute on a busy machine
    async with Client(stack.nats_server.url) as client:
        report = await client.say(HELLO, session_id="s", phone_id="p", transport="none", fire_and_forget=False)
        assert isinstance(report, Report) and report.status == "delivered", report
        messages = [message async for message in client.audio("s", report.request_id, report.request_seq)]
        assert b"".join(message.audio for message in messages if isinstance(message, AudioChunk))[44:] == pcm
        await client.say(HELLO * 20, session_id="s", phone_id="p", request_id="long", transport="none")
        await asyncio.sleep(0)
        await client.cancel("s")
        assert (await client.wait("s", "long", 30)).status == "cancelled"
        report = await client.say(HELLO, session_id="s", phone_id="p", transport="none", fire_and_forget=False)
        assert isinstance(report, Report) and report.status == "delivered", report
