"""Measures how loud each voice of a pool is, once, and returns the gains towards one loudness (`audio.levels`)."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing

import structlog

from orastream.base import tasks
from orastream.contract.audio import BYTES_PER_SAMPLE
from services.synth.audio import loudness
from services.synth.audio.levels import Levels, gain_for
from services.synth.audio.loudness import Loudness
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineCrashed, EngineError, UnknownVoice
from services.synth.speech.calibration_texts import text_for

MAX_VOICES = 256
"""Number of voices that are measured: the first ones."""
MAX_SECONDS = 40.0
"""Seconds for all voices together. Voices that are not measured by then keep their level. `orastream up` gives a
service 60 s to become ready, and the engine's models are loaded in that time, too."""
VOICE_SECONDS = 20.0
"""Seconds for one voice."""
MAX_AUDIO_S = 20.0
"""Seconds of speech that are measured at most; an engine that does not end is stopped there."""
_TRIES = 2
_LOG_EVERY_S = 5.0

log = structlog.get_logger()


async def measured_levels(
    pool: EnginePool, target_lufs: float, *, at_once: int, stop: asyncio.Event | None = None
) -> Levels:
    """Returns the gains that bring the voices of the pool to `target_lufs` (-16 is louder than -23).

    Each voice speaks a sentence of its language, and so does the voice that the engine chooses for each language;
    `at_once` of them at the same time. A voice that cannot be measured keeps its level, and the log has a warning.
    Takes MAX_SECONDS at most; ends at once when `stop` is set. Cancel-safe. Raises nothing of the engine.
    """
    await asyncio.to_thread(loudness.load)
    return await _Calibration(pool, target_lufs).run(at_once, stop or asyncio.Event())


class _Calibration:
    """The measurement of one pool. For one event loop."""

    def __init__(self, pool: EnginePool, target_lufs: float) -> None:
        self._pool = pool
        self._target_lufs = target_lufs
        self._voices: dict[str, float] = {}
        self._known: dict[tuple[bytes, int], Loudness | None] = {}  # by digest and rate: many languages have one voice
        listed = list(pool.info.voices.values())
        self._listed = [voice.name for voice in listed]
        self._first_language = listed[0].language.lower() if listed else ""
        # A language that is not measured has 0 dB, and not the gain of another voice.
        self._languages = {tag.lower(): 0.0 for voice in listed for tag in (voice.language, *voice.also_speaks)}
        left: dict[tuple[str | None, str], None] = {}  # in the order of the list: what is most used comes first
        for voice in listed[:MAX_VOICES]:
            left[voice.name, voice.language] = None
            left.update({(None, tag): None for tag in (voice.language, *voice.also_speaks)})
        self._left = list(reversed(left))
        self._total = len(self._left)

    async def run(self, at_once: int, stop: asyncio.Event) -> Levels:
        """Measure all voices and languages; see `measured_levels`."""
        began = asyncio.get_running_loop().time()
        progress = asyncio.create_task(self._log_progress(), name="calibration progress")
        measuring = asyncio.create_task(self._measure_at_once(at_once), name="calibration")
        stopped = asyncio.create_task(stop.wait(), name="calibration stop")
        try:
            await asyncio.wait({measuring, stopped}, timeout=MAX_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if measuring.done():
                measuring.result()
            elif not stop.is_set():
                log.warning("measuring the loudness of the voices takes too long", seconds=MAX_SECONDS)
        finally:
            await tasks.end(progress, measuring, stopped)
        if not stop.is_set():
            self._log_result(asyncio.get_running_loop().time() - began)
        return Levels(self._voices, self._languages, self._first_language)

    def _log_result(self, seconds: float) -> None:
        unmeasured = [voice for voice in self._listed if voice not in self._voices]
        if unmeasured:
            log.warning(
                "some voices could not be measured and keep their level (TTS_LOUDNESS_LUFS)",
                voices=unmeasured[:20],
                count=len(unmeasured),
            )
        log.info(
            "loudness of the voices measured",
            target_lufs=self._target_lufs,
            seconds=round(seconds, 1),
            gains_db=dict(list(self._voices.items())[:20]),
            voices=len(self._voices),
        )

    async def _log_progress(self) -> None:
        while True:
            await asyncio.sleep(_LOG_EVERY_S)
            log.info("measuring the loudness of the voices", done=self._total - len(self._left), of=self._total)

    async def _measure_at_once(self, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._measure_all())

    async def _measure_all(self) -> None:
        while self._left:
            voice, language = self._left.pop()
            gain = await self._gain(voice, language)
            if gain is None:
                continue
            if voice is not None:
                self._voices[voice] = gain
            else:
                self._languages[language.lower()] = gain

    async def _gain(self, voice: str | None, language: str) -> float | None:
        try:
            async with asyncio.timeout(VOICE_SECONDS):
                pcm = await self._speech(voice, language)
        except (UnknownVoice, TimeoutError):
            return None
        except EngineError as exc:
            log.warning("a voice cannot be measured", voice=voice, language=language, error=str(exc))
            return None
        rate_hz = self._pool.info.sample_rate_hz(voice)
        audio = hashlib.sha256(pcm).digest(), rate_hz
        if audio not in self._known:
            self._known[audio] = await asyncio.to_thread(loudness.loudness_of, pcm, rate_hz)
        found = self._known[audio]
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
