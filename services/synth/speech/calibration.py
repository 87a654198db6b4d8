"""Measures how loud each voice of a pool is, once, and returns the gains towards one loudness (`audio.levels`)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import aclosing

import structlog

from orastream.contract.audio import BYTES_PER_SAMPLE
from services.synth.audio import loudness
from services.synth.audio.levels import Levels, gain_for
from services.synth.audio.loudness import Loudness
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineCrashed, EngineError, UnknownVoice
from services.synth.speech.calibration_texts import text_for

MAX_VOICES = 256
"""Number of voices that are measured: the first ones."""
MAX_SECONDS = 60.0
"""Seconds for all voices together. Voices that are not measured by then keep their level."""
VOICE_SECONDS = 20.0
"""Seconds for one voice."""
MAX_AUDIO_S = 20.0
"""Seconds of speech that are measured at most; an engine that does not end is stopped there."""
_TRIES = 2
_ALSO = {"cmn": "zh", "nb": "no"}
"""Languages by their usual tag: requests name it, and some engines list the other one."""
_LOG_EVERY_S = 5.0

log = structlog.get_logger()


async def measured_levels(
    pool: EnginePool, target_lufs: float, *, at_once: int, stop: Callable[[], bool] = lambda: False
) -> Levels:
    """Returns the gains that bring the voices of the pool to `target_lufs` (-16 is louder than -23).

    Each voice speaks a sentence of its language, and so does the voice that the engine chooses for each language;
    `at_once` of them at the same time. A voice that cannot be measured keeps its level, and the log has a warning.
    Takes MAX_SECONDS at most; ends early when `stop` returns True. Cancel-safe. Raises nothing of the engine.
    """
    await asyncio.to_thread(loudness.load)
    measuring = _Calibration(pool, target_lufs, stop)
    return await measuring.run(at_once)


class _Calibration:
    """The measurement of one pool. For one event loop."""

    def __init__(self, pool: EnginePool, target_lufs: float, stop: Callable[[], bool]) -> None:
        self._pool = pool
        self._target_lufs = target_lufs
        self._stop = stop
        self._voices: dict[str, float] = {}
        self._languages: dict[str, float] = {}
        self._known: dict[bytes, Loudness | None] = {}  # by the digest of the audio: many languages have one voice
        listed = list(pool.info.voices.values())
        self._listed = [voice.name for voice in listed]
        self._first_language = listed[0].language.lower() if listed else ""
        left: dict[tuple[str | None, str], None] = {}  # in the order of the list: what is most used comes first
        for voice in listed[:MAX_VOICES]:
            language = voice.language.lower()
            left[voice.name, voice.language] = left[None, language] = None
            if language in _ALSO:
                left[None, _ALSO[language]] = None
        self._left = list(reversed(left))
        self._total = len(self._left)

    async def run(self, at_once: int) -> Levels:
        """Measure all voices and languages; see `measured_levels`."""
        began = asyncio.get_running_loop().time()
        progress = asyncio.create_task(self._log_progress(), name="calibration progress")
        try:
            async with asyncio.timeout(MAX_SECONDS), asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._measure_all())
        except TimeoutError:
            log.warning("measuring the loudness of the voices takes too long", seconds=MAX_SECONDS)
        finally:
            progress.cancel()
        unmeasured = [voice for voice in self._listed if voice not in self._voices]
        if unmeasured and not self._stop():
            log.warning(
                "some voices could not be measured and keep their level (TTS_LOUDNESS_LUFS)",
                voices=unmeasured[:20],
                count=len(unmeasured),
            )
        log.info(
            "loudness of the voices measured",
            target_lufs=self._target_lufs,
            seconds=round(asyncio.get_running_loop().time() - began, 1),
            gains_db=dict(list(self._voices.items())[:20]),
            voices=len(self._voices),
        )
        return Levels(self._voices, self._languages, self._first_language)

    async def _log_progress(self) -> None:
        while True:
            await asyncio.sleep(_LOG_EVERY_S)
            log.info("measuring the loudness of the voices", done=self._total - len(self._left), of=self._total)

    async def _measure_all(self) -> None:
        while self._left and not self._stop():
            voice, language = self._left.pop()
            gain = await self._gain(voice, language)
            if gain is None:
                continue
            if voice is not None:
                self._voices[voice] = gain
            else:
                self._languages[language] = gain

    async def _gain(self, voice: str | None, language: str) -> float | None:
        try:
            async with asyncio.timeout(VOICE_SECONDS):
                pcm = await self._speech(voice, language)
        except (UnknownVoice, TimeoutError):
            return None
        except EngineError as exc:
            log.warning("a voice cannot be measured", voice=voice, language=language, error=str(exc))
            return None
        rate_hz, digest = self._pool.info.sample_rate_hz(voice), hashlib.sha256(pcm).digest()
        if digest not in self._known:
            self._known[digest] = await asyncio.to_thread(loudness.loudness_of, pcm, rate_hz)
        found = self._known[digest]
        return None if found is None else gain_for(found, self._target_lufs)

    async def _speech(self, voice: str | None, language: str) -> bytes:
        """Returns up to MAX_AUDIO_S of speech. Tries again after a crash of the engine process."""
        most = int(MAX_AUDIO_S * self._pool.info.sample_rate_hz(voice)) * BYTES_PER_SAMPLE
        for left in reversed(range(_TRIES)):
            pcm = bytearray()
            try:
                async with self._pool.acquire() as slot:
                    speaking = slot.speak(text_for(language), voice=voice, language=language)
                    async with aclosing(speaking) as pieces:
                        async for piece in pieces:
                            pcm += piece
                            if len(pcm) >= most:
                                break
                return bytes(pcm[:most])
            except EngineCrashed:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")
