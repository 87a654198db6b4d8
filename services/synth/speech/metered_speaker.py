"""A speaker that measures the real-time factor of another one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

from orastream.contract.audio import PcmSpec
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.speech.speaker import Speaker, Spoken, SpokenThrough
from services.synth.text.script import ScriptLine


class MeteredSpeaker:
    """Speaks through another speaker and measures the time spent waiting for its audio. For one utterance.

    The wait for a free slot and the time in which the caller does not read do not count.
    """

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self.spent_s = 0.0
        """Seconds spent waiting for the engine's audio."""
        self.made_s = 0.0
        """Seconds of speech that the engine made, skipped bytes included."""

    @property
    def info(self) -> EngineInfo:
        """See Speaker."""
        return self._speaker.info

    @property
    def rtf(self) -> float | None:
        """Real-time factor: `spent_s` / `made_s`; None before the first complete sentence."""
        return round(self.spent_s / self.made_s, 4) if self.made_s > 0 else None

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        speaking = self._speaker.speak(line, voice=voice, due_s=due_s, skip_bytes=skip_bytes, keep_skipped=keep_skipped)
        async with speaking as spoken:
            yield _Metered(spoken, self)
            if spoken.total_bytes is not None:
                self.made_s += PcmSpec(self.info.sample_rate_hz(voice)).seconds(spoken.total_bytes)


class _Metered(SpokenThrough):
    def __init__(self, spoken: Spoken, meter: MeteredSpeaker) -> None:
        super().__init__(spoken)
        self._meter = meter

    async def __anext__(self) -> bytes:
        began = time.monotonic()
        try:
            return await super().__anext__()
        finally:
            self._meter.spent_s += time.monotonic() - began
