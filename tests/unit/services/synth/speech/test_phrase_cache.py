"""The phrase cache counts each sentence once: found, not found, or unanswered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from orastream.contract.errors import NodeUnavailable
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import SpokenWord, Voice
from services.synth.speech import phrase_cache
from services.synth.speech.phrase_cache import CachingSpeaker, LookUp
from services.synth.speech.phrase_key import FETCH_S
from services.synth.speech.speaker import Spoken
from services.synth.text.script import script_of
from services.synth.text.script_line import ScriptLine

pytestmark = pytest.mark.unit

SOUND = b"\1\1" * 800
PAUSE_S = 0.5


class Store:
    """A store in memory. `late_s` delays the answers to `get`, `lost` makes them an error."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked = 0
        self.late_s = 0.0
        self.lost = False

    async def get(self, name: str) -> bytes | None:
        """See PhraseStore."""
        self.asked += 1
        await asyncio.sleep(self.late_s)
        if self.lost:
            raise NodeUnavailable("no stream")
        return self.objects.get(name)

    async def put(self, name: str, data: bytes) -> None:
        """See PhraseStore."""
        self.objects[name] = data


class Counts:
    """What was counted."""

    def __init__(self) -> None:
        self.results: list[LookUp] = []

    def phrase_looked_up(self, result: LookUp) -> None:
        """See PhraseCounts."""
        self.results.append(result)

    def phrase_kept(self, size_bytes: int) -> None:
        """See PhraseCounts."""
        assert size_bytes == len(SOUND)


class Said:
    """One sentence of the engine."""

    total_bytes: int | None = None
    words: tuple[SpokenWord, ...] = ()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield SOUND
        self.total_bytes = len(SOUND)


class Engine:
    """A speaker that counts its sentences."""

    def __init__(self) -> None:
        self.info = EngineInfo("mouth", "1", True, 1, True, 8_000, {"calm": Voice("calm", "en-US", 8_000)})
        self.spoke = 0

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        self.spoke += 1
        yield Said()


def ticking(step_s: float) -> Callable[[], float]:
    """A clock that is `step_s` later at each call, so that a sentence of one piece takes twice that time."""
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += step_s
        return now_s

    return clock


class Scene:
    """A caching speaker with its store, engine and counts."""

    def __init__(self, engine_step_s: float = 1.0) -> None:
        self.store, self.counts, self.engine = Store(), Counts(), Engine()
        self.speaker = CachingSpeaker(self.engine, self.store, self.counts, clock=ticking(engine_step_s))

    async def say(self, text: str) -> None:
        """Speak a sentence, and wait until it is stored."""
        async for line in script_of(text, "en-US", 1.0):
            async with self.speaker.speak(line, voice=None, due_s=0.0, skip_bytes=0, keep_skipped=False) as spoken:
                assert b"".join([piece async for piece in spoken]) == SOUND
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def usual_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a stall of this process does not change a result."""
    monkeypatch.setattr(phrase_cache, "LOOKUP_TIMEOUT_S", 5.0)
    monkeypatch.setattr(phrase_cache, "RETRY_AFTER_S", PAUSE_S)


async def test_a_sentence_is_missed_once_and_then_found() -> None:
    scene = Scene()
    async with scene.speaker:
        for text in ("One.", "Two.", "One.", "Two."):
            await scene.say(text)
    assert scene.counts.results == ["miss", "miss", "hit", "hit"]
    assert scene.engine.spoke == 2


@pytest.mark.parametrize(("late_s", "lost"), [(1.0, False), (0.0, True)])
async def test_unanswered_sentences_are_counted_too(monkeypatch: pytest.MonkeyPatch, late_s: float, lost: bool) -> None:
    """The first one waits for an answer; the next ones do not ask, until the pause is over."""
    scene = Scene()
    monkeypatch.setattr(phrase_cache, "LOOKUP_TIMEOUT_S", 0.02 if late_s else 5.0)
    scene.store.late_s, scene.store.lost = late_s, lost
    async with scene.speaker:
        for _ in range(3):
            await scene.say("One.")
        assert scene.counts.results == ["unanswered"] * 3
        assert (scene.store.asked, scene.engine.spoke) == (1, 3)
        monkeypatch.setattr(phrase_cache, "LOOKUP_TIMEOUT_S", 5.0)
        scene.store.late_s, scene.store.lost = 0.0, False
        await asyncio.sleep(PAUSE_S)
        await scene.say("One.")
    assert scene.counts.results[3:] == ["hit"], "it was stored although no look-up was answered"


@pytest.mark.parametrize("paused", [False, True])
async def test_a_fast_engine_s_sentences_are_not_counted(paused: bool) -> None:
    """Except the first one: the engine's time is not known yet."""
    scene = Scene(engine_step_s=FETCH_S / 4)
    scene.store.lost = paused
    async with scene.speaker:
        for _ in range(3):
            await scene.say("One.")
    assert scene.counts.results == ["unanswered" if paused else "miss"]
    assert scene.store.asked == 1
