"""The engine vits in the pool's processes, which run in `.venv-torch`, while this one has no torch."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path

import pytest

from services.synth.engine_pool.canary import CanaryResult
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import ProcessLimits
from services.synth.engines.base import EngineError, UnknownEngine
from tests.support.engines import KOREAN, LOG, eventually, spoken
from tests.support.torch_engines import TORCH_PYTHON, vits_voices

__all__ = ["vits_voices"]

pytestmark = [pytest.mark.integration, pytest.mark.torch, pytest.mark.timeout(400)]

RATE = 16_000


@pytest.fixture
def pool(vits_voices: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnginePool]:
    """Makes a pool of vits with two sample voices."""
    monkeypatch.setenv("TTS_MODEL_DIR", str(vits_voices))
    monkeypatch.setenv("TTS_THREADS", "1")
    return partial(EnginePool, "vits", 2, log=LOG, python=str(TORCH_PYTHON))


async def test_one_process_speaks_several_sentences_at_the_same_time(pool: Callable[..., EnginePool]) -> None:
    async with pool() as vits, AsyncExitStack() as stack:
        assert (vits.alive, vits.info.name, vits.info.deterministic, vits.info.at_once) == (1, "vits", True, 4)
        assert [voice.name for voice in vits.info.voices.values()] == ["sample-kor", "sample-eng"]
        one, other = [await stack.enter_async_context(vits.acquire()) for _ in range(2)]
        alone = await spoken(one, KOREAN)
        assert 1.0 < len(alone) / 2 / RATE < 10
        assert await asyncio.gather(spoken(one, KOREAN), spoken(other, KOREAN)) == [alone, alone]
        async with aclosing(one.speak(KOREAN, voice=None, language="ko")) as speech:
            assert b"".join([pcm async for pcm in speech]) == alone
            words = [KOREAN[word.first : word.end] for word in speech.words]
            assert words == [word.strip(",.?!") for word in KOREAN.split()]
        assert await spoken(one, "1, 2.") == b"", "a text that the model cannot read gave audio"
        async with aclosing(one.speak(KOREAN * 8, voice=None, language="ko")) as speech:
            await anext(speech)
        assert await spoken(one, KOREAN) == alone, "the slot of the stopped sentence does not speak"
        assert vits.restarts == 0


async def test_canary_of_a_model_without_digits_has_words(pool: Callable[..., EnginePool]) -> None:
    async with pool(limits=ProcessLimits(canary_s=0.2)) as vits:
        await eventually(lambda: vits.canaries[CanaryResult.PASSED] >= 2, 60)
        assert (vits.restarts, vits.canaries[CanaryResult.FAILED]) == (0, 0)


async def test_pool_names_a_missing_directory_before_it_starts(
    pool: Callable[..., EnginePool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before torch is imported."""
    monkeypatch.setenv("TTS_MODEL_DIR", str(tmp_path / "none"))
    with pytest.raises(EngineError, match="TTS_MODEL_DIR: there is no directory .*none; mount the voices there"):
        async with pool():
            raise AssertionError("the pool started")


async def test_error_names_the_fix_when_torch_is_missing(vits_voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert importlib.util.find_spec("torch") is None, ".venv contains torch; it must not"
    monkeypatch.setenv("TTS_MODEL_DIR", str(vits_voices))
    with pytest.raises(UnknownEngine, match=r"needs torch .*No module named 'torch'.*make torch.*ENGINE_PYTHON"):
        async with EnginePool("vits", 1, log=LOG):
            raise AssertionError("the pool started")
