"""espeak in its real process: its audio, and stop, slow-down and skipped bytes."""

import array
import hashlib
import itertools
import math
import subprocess
import sys
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import espeakng_loader
import pytest

from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import UnknownVoice
from tests.support.engines import KOREAN, LOG, LONG, RATE, TEXT, spoken

pytestmark = pytest.mark.integration

ENGLISH = "Hello there, the meeting starts at three."


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


def loudness(pcm: bytes) -> float:
    samples = array.array("h", pcm)
    return math.sqrt(sum(s * s for s in samples) / len(samples))


async def test_engine_speaks_korean_and_english_at_a_plausible_pace(pool: EnginePool) -> None:
    assert pool.info.name == "espeak"
    assert pool.info.deterministic
    assert pool.info.sample_rate_hz(None) == pool.info.sample_rate_hz("ko+f2") == RATE
    assert {"ko", "en-us"} <= pool.info.voices.keys()
    async with pool.acquire() as engine:
        korean, english = await spoken(engine, KOREAN), await spoken(engine, ENGLISH, "en-US")
        for pcm in (korean, english):
            assert 1.5 < len(pcm) / 2 / RATE < 6
            assert loudness(pcm) > 500
        mixed = await spoken(engine, "오늘 hello world 합니다")
        assert len(mixed) > len(await spoken(engine, "오늘 합니다")) + RATE, "Latin words were left out"


async def test_engine_speaks_with_the_requested_speed_and_voice(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        normal = await spoken(engine, KOREAN)
        fast, slow = await spoken(engine, KOREAN, speed=2.0), await spoken(engine, KOREAN, speed=0.5)
        assert 1.5 < len(normal) / len(fast) < 2.6
        assert 1.5 < len(slow) / len(normal) < 2.6
        assert await spoken(engine, KOREAN, voice="KO+f2") not in (normal, b"")
        assert await spoken(engine, KOREAN, "en-US", voice="ko") == normal, "the explicit voice was not used"


async def test_engine_speaks_decomposed_hangul_and_text_after_a_nul(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        assert await spoken(engine, unicodedata.normalize("NFD", KOREAN)) == await spoken(engine, KOREAN)
        assert len(await spoken(engine, "앞\0뒤")) > len(await spoken(engine, "앞")), (
            "the text after a NUL was left out"
        )


async def test_error_names_an_unknown_voice(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        for voice in ("ko+no-such-variant", "parrot", "../ko", "", "ko+", "ko+../../phontab"):
            with pytest.raises(UnknownVoice, match="^voice: espeak has no"):
                await spoken(engine, KOREAN, voice=voice)
        with pytest.raises(
            UnknownVoice, match="^language: espeak has no voice for 'tlh-KX'; use a BCP 47 tag such as ko-KR"
        ):
            await spoken(engine, KOREAN, "tlh-KX")
        assert await spoken(engine, KOREAN)
    assert pool.restarts == 0


async def test_audio_is_the_same_in_every_call_and_process() -> None:
    voices = ["ko", "en-us", "ko+f2", "ko+whisper", "ko+klatt4"]
    digests: dict[str, set[str]] = {voice: set() for voice in voices}
    async with EnginePool("espeak", 2, log=LOG) as pool, pool.acquire() as one, pool.acquire() as other:
        for engine, voice in itertools.product([one, other, one], voices):
            pcm = await spoken(engine, TEXT, voice=voice)
            digests[voice].add(hashlib.sha256(pcm).hexdigest())
            async with aclosing(engine.speak(LONG, voice="en+whisper", language="en", speed=1.3, rtf=1.0)) as aborted:
                await anext(aborted)
    assert {voice: len(found) for voice, found in digests.items()} == dict.fromkeys(voices, 1)


LOAD_WITH_DATA_IN = """
import sys, espeakng_loader
from services.synth.engines.espeak import EspeakEngine
espeakng_loader.get_data_path = lambda: sys.argv[1]
engine = EspeakEngine()
engine.load()
print(sum(map(len, engine.synthesize("안녕", voice=None, language="ko", speed=1.0, stop=lambda: False))))
"""


def loaded_with_data_in(data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", LOAD_WITH_DATA_IN, str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_engine_loads_data_from_a_path_too_long_for_espeak(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    data = deep / "espeak-ng-data"
    data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    result = loaded_with_data_in(data)
    assert int(result.stdout or 0) > RATE / 2, result.stderr


def test_load_raises_for_unusable_data(tmp_path: Path) -> None:
    result = loaded_with_data_in(tmp_path)
    assert result.returncode == 1
    assert "reinstall espeakng-loader" in result.stderr


async def test_engine_is_free_at_once_when_the_reader_closes_the_speech(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        speech = engine.speak(LONG, voice=None, language="ko-KR", rtf=1.0)
        await anext(speech)
        started = time.monotonic()
        await speech.aclose()
        assert time.monotonic() - started < 5, "closing waited for the whole speech, which takes half a minute"
        assert [pcm async for pcm in speech] == []
        assert speech.total_bytes is None
        assert await spoken(engine, KOREAN)
    assert pool.restarts == 0


async def test_speak_refuses_a_second_sentence_at_the_same_time(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        speech = engine.speak(KOREAN, voice=None, language="ko-KR")
        with pytest.raises(RuntimeError, match="is speaking"):
            engine.speak(KOREAN, voice=None, language="ko-KR")
        await speech.aclose()


async def test_speech_is_slowed_to_the_real_time_factor(pool: EnginePool) -> None:
    rtf = 0.25
    async with pool.acquire() as engine:
        started, total = time.monotonic(), 0
        async with aclosing(engine.speak(KOREAN, voice=None, language="ko-KR", rtf=rtf)) as speech:
            async for pcm in speech:
                total += len(pcm)
                assert time.monotonic() - started >= rtf * total / 2 / RATE
        assert speech.total_bytes == total
        assert time.monotonic() - started < 3 * rtf * total / 2 / RATE


async def test_skipped_audio_is_not_slowed_to_the_real_time_factor(pool: EnginePool) -> None:
    rtf = 0.1
    async with pool.acquire() as engine:
        whole = await spoken(engine, KOREAN)
        for skip, keep in itertools.product([1, 2, 5_001, 60_000, 10**9], [False, True]):
            started = time.monotonic()
            speech = engine.speak(KOREAN, voice=None, language="ko-KR", rtf=rtf, skip_bytes=skip, keep_skipped=keep)
            assert b"".join([pcm async for pcm in speech]) == (whole if keep else whole[skip:])
            assert speech.total_bytes == len(whole)
            assert rtf * len(whole[skip:]) / 2 / RATE <= time.monotonic() - started
        started = time.monotonic()
        speech = engine.speak(KOREAN, voice=None, language="ko-KR", rtf=3.0, skip_bytes=10**9)
        assert [pcm async for pcm in speech] == []
        assert time.monotonic() - started < len(whole) / 2 / RATE, "the skipped audio was slowed"
