"""Who speaks the lines of an utterance: a place in an engine, taken for one sentence at a time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import EngineInfo
from services.synth.text.script import ScriptLine


class Spoken(Protocol):
    """One sentence being spoken: an async iterator of PCM pieces (mono PCM16 little-endian, never empty).

    Raises EngineCrashed, UnknownVoice or another EngineError while it is read.
    """

    @property
    def total_bytes(self) -> int | None:
        """Bytes of the whole sentence, skipped ones included; None until it was read to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Speaker(Protocol):
    """Speaks lines. For many tasks at once."""

    @property
    def info(self) -> EngineInfo:
        """The engine behind it."""

    def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> contextlib.AbstractAsyncContextManager[Spoken]:
        """One line, as `async with`; leaving the block early stops it.

        `due_s` is when the listener runs dry without it, by the loop's clock: whose audio ends first comes first.
        `skip_bytes` of it are stored already and are left out (`keep_skipped`: handed out all the same, in no time).
        """


class PoolSpeaker:
    """The pool's places, each for a sentence; `rtf` slows them to that real-time factor."""

    def __init__(self, pool: EnginePool, *, rtf: float | None = None) -> None:
        self._pool = pool
        self._rtf = rtf

    @property
    def info(self) -> EngineInfo:
        """See Speaker."""
        return self._pool.info

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker. Waits for a free place in an engine."""
        async with self._pool.acquire(due_s) as place:
            yield place.speak(
                line.spoken,
                voice=voice,
                language=line.language,
                speed=line.speed,
                rtf=self._rtf,
                skip_bytes=skip_bytes,
                keep_skipped=keep_skipped,
            )
