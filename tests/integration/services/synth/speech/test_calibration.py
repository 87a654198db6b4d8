"""The measurement of voices with real engine processes, and what levelled speech sounds like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from services.synth.audio.levels import Levels
from services.synth.audio.loudness import Loudness, loudness_of
from services.synth.audio.pcm_chunker import Cutting
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech import calibration
from services.synth.speech.calibration import measured_levels
from services.synth.speech.calibration_texts import TEXTS
from services.synth.speech.levelled_speaker import LevelledSpeaker
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import PoolSpeaker
from services.synth.text.script import script_of
from tests.support.engines import LOG, RATE, install_strange_engine

pytestmark = pytest.mark.integration

TARGET_LUFS = -24.0
KOREAN = "내일은 비가 온다고 하니까, 나가실 때 우산을 꼭 챙기시고 조심해서 다녀오세요. 고맙습니다."
TEXT = {"ko": KOREAN, "en-us": "It will rain tomorrow, so please take an umbrella. Thank you very much for the call."}


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


async def loudness(pool: EnginePool, levels: Levels, text: str, voice: str | None, language: str) -> Loudness:
    utterance = SpokenUtterance(voice, language, 1.0, "pcm16")
    lines = script_of(text, language, 1.0)
    speaking = speak_utterance(LevelledSpeaker(PoolSpeaker(pool), levels), utterance, lines, Cutting(32_768))
    async with aclosing(speaking) as pieces:
        found = loudness_of(b"".join([piece.audio async for piece in pieces]), RATE)
    assert found is not None
    return found


async def test_voices_are_brought_to_one_loudness(pool: EnginePool) -> None:
    levels = await measured_levels(pool, TARGET_LUFS, at_once=2)
    for voice, text in TEXT.items():
        before = await loudness(pool, Levels(), text, voice, voice)
        after = await loudness(pool, levels, text, voice, voice)
        assert abs(before.lufs - TARGET_LUFS) > 2.0, "else this shows nothing"
        assert after.lufs == pytest.approx(TARGET_LUFS, abs=1.0), voice
        chosen = await loudness(pool, levels, text, None, voice)
        assert chosen == after, "the voice that the engine chooses has the same gain as when it is named"
    assert len(levels.voices) > 100


async def test_a_second_measurement_gives_the_same_gains(pool: EnginePool) -> None:
    one = await measured_levels(pool, -16.0, at_once=1)
    async with EnginePool("espeak", 1, log=LOG) as other:
        assert await measured_levels(other, -16.0, at_once=2) == one


async def test_each_text_lasts_3_s(pool: EnginePool) -> None:
    for language, text in TEXTS.items():
        async with pool.acquire() as slot:
            size = 0
            async for piece in slot.speak(text, voice=None, language=language):
                size += len(piece)
        assert size / (2 * RATE) >= 3.0, language


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnginePool:
    """A pool of an engine whose audio can be changed by a test: it takes the class `Odd` from odd.py."""
    install_strange_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    package = tmp_path / "strange_engine.py"
    package.write_text(package.read_text() + ODD + "Strange = Odd\n")
    return EnginePool("strange", 1, log=LOG)


ODD = '''
class Odd(Strange):
    """Voices that cannot be measured, and one that can."""
    def voices(self):
        names = ("first", "silent", "raises", "dies", "endless", "slow", "noise")
        return [Voice(name, "en-US", 8000) for name in names]
    def synthesize(self, sentence, *, voice, language, speed, stop):
        if sentence == "1, 2.":
            return
        if voice == "raises":
            raise EngineError("out of breath")
        if voice == "dies":
            os._exit(1)
        if voice == "slow":
            while not stop():
                time.sleep(0.05)
                yield b""
        if voice == "silent":
            yield bytes(80000)
            return
        pieces = 0
        while (voice == "endless" or pieces < 20) and not stop():
            pieces += 1
            yield bytes((i * 37 % 256, (i * 91 + pieces) % 8)[i % 2] for i in range(4000))
'''


async def test_voices_that_cannot_be_measured_keep_their_level(
    strange: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "VOICE_SECONDS", 4.0)
    async with strange as pool:
        levels = await measured_levels(pool, -40.0, at_once=1)
        assert set(levels.voices) == {"first", "endless", "noise"}
        assert all(levels.voices.values()), "the others have a gain"
        assert pool.restarts >= 1
    assert levels.gain_db("slow", "en-US") == levels.gain_db("dies", "en-US") == 0.0


async def test_the_measurement_is_bounded_in_time(strange: EnginePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MAX_SECONDS", 1.5)
    async with strange as pool:
        clock = asyncio.get_running_loop().time
        began = clock()
        levels = await measured_levels(pool, -40.0, at_once=1)
        assert clock() - began < 4.0
    assert "first" in levels.voices and "noise" not in levels.voices


async def test_the_measurement_is_bounded_in_count_and_stops(pool: EnginePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MAX_VOICES", 2)
    levels = await measured_levels(pool, -16.0, at_once=1)
    assert set(levels.voices) == {"en-us", "ko"}
    assert {tag for tag, gain in levels.languages.items() if gain} <= {"en-us", "ko"}
    assert levels.gain_db(None, "de") == 0.0, "a language without a measurement has not the gain of another voice"


async def test_a_stop_ends_the_measurement_in_the_middle_of_a_voice(strange: EnginePool) -> None:
    """Else a drain would wait for a voice that never ends: VOICE_SECONDS."""
    async with strange as pool:
        clock, stop = asyncio.get_running_loop().time, asyncio.Event()
        asyncio.get_running_loop().call_later(1.5, stop.set)
        began = clock()
        levels = await measured_levels(pool, -40.0, at_once=1, stop=stop)
        assert clock() - began < 4.0
    assert "noise" not in levels.voices, "the measurement ended before the stop, so this shows nothing"


async def test_a_language_has_the_gain_of_the_voice_that_speaks_it(pool: EnginePool) -> None:
    levels = await measured_levels(pool, TARGET_LUFS, at_once=1)
    for language, voice in (("zh-CN", "cmn"), ("no", "nb"), ("iw", "he"), ("in", "id"), ("ja-JP", "ja")):
        assert levels.gain_db(None, language) == levels.voices[voice] != 0.0
    text = TEXTS["id"]
    assert await loudness(pool, levels, text, None, "in") == await loudness(pool, levels, text, "id", "in")
