"""A speaker that gives each voice its gain (`audio.levels`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from services.synth.audio.gain import amplified
from services.synth.audio.levels import Levels
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.speech.speaker import Speaker, Spoken, SpokenThrough
from services.synth.text.script import ScriptLine


class LevelledSpeaker:
    """Speaks through another speaker and changes the level of its audio; its `info` has the levels.

    The number of samples stays the same, and so do `skip_bytes`, `total_bytes` and the words. For one event loop, many
    tasks at once.
    """

    def __init__(self, speaker: Speaker, levels: Levels) -> None:
        self._speaker = speaker
        self._info = replace(speaker.info, levels=levels)

    @property
    def info(self) -> EngineInfo:
        """See Speaker."""
        return self._info

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        gain_db = self._info.levels.gain_db(voice, line.language)
        speaking = self._speaker.speak(line, voice=voice, due_s=due_s, skip_bytes=skip_bytes, keep_skipped=keep_skipped)
        async with speaking as spoken:
            yield _Levelled(spoken, gain_db) if gain_db else spoken


class _Levelled(SpokenThrough):
    def __init__(self, spoken: Spoken, gain_db: float) -> None:
        super().__init__(spoken)
        self._gain_db = gain_db

    async def __anext__(self) -> bytes:
        return amplified(await super().__anext__(), self._gain_db)
