"""A speaker that may pause between two sentences of an utterance."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.speech.speaker import Speaker, Spoken
from services.synth.text.script import ScriptLine


class PausingSpeaker:
    """Speaks through another speaker, after `pause(due_s)` has returned for that sentence. For one utterance."""

    def __init__(self, speaker: Speaker, pause: Callable[[float], Awaitable[None]]) -> None:
        self._speaker = speaker
        self._pause = pause

    @property
    def info(self) -> EngineInfo:
        """See Speaker."""
        return self._speaker.info

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker. Waits for `pause`, before it asks for an engine."""
        await self._pause(due_s)
        speaking = self._speaker.speak(line, voice=voice, due_s=due_s, skip_bytes=skip_bytes, keep_skipped=keep_skipped)
        async with speaking as spoken:
            yield spoken
