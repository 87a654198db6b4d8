"""Speaks the lines of an utterance, each in a slot of the engine pool that is held for that sentence only."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import SpokenWord
from services.synth.text.script import ScriptLine


class Spoken(Protocol):
    """One sentence being spoken: an async iterator of PCM pieces (mono PCM16 little-endian, never empty).

    Raises EngineCrashed, UnknownVoice or another EngineError while it is read.
    """

    @property
    def total_bytes(self) -> int | None:
        """Bytes of the whole sentence, skipped bytes included; None until it was read to its end."""

    @property
    def words(self) -> Sequence[SpokenWord]:
        """The words so far, in order: at least those that end in the audio that was read; also of skipped audio. Empty
        if the engine does not know them.
        """

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class SpokenThrough:
    """Passes another Spoken on, piece by piece. A subclass changes or measures the pieces in `__anext__`."""

    def __init__(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._pieces = aiter(spoken)

    @property
    def total_bytes(self) -> int | None:
        """See Spoken."""
        return self._spoken.total_bytes

    @property
    def words(self) -> Sequence[SpokenWord]:
        """See Spoken."""
        return self._spoken.words

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)


class Speaker(Protocol):
    """Speaks lines. For many tasks of one event loop at once."""

    @property
    def info(self) -> EngineInfo:
        """The EngineInfo of its engine."""

    def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> contextlib.AbstractAsyncContextManager[Spoken]:
        """Speaks one line during an `async with` block; leaving the block early stops it.

        `due_s`, by the event loop's clock, is when the listener runs out of audio: the earliest gets the next slot. The
        first `skip_bytes` are already stored and are left out; with `keep_skipped` they are passed on, without delay.
        """


class PoolSpeaker:
    """Speaks with the engine pool; `rtf` slows the engine down to that real-time factor."""

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
        """See Speaker. Waits for a free slot."""
        async with self._pool.acquire(due_s) as slot:
            yield slot.speak(
                line.spoken,
                voice=voice,
                language=line.language,
                speed=line.speed,
                rtf=self._rtf,
                skip_bytes=skip_bytes,
                keep_skipped=keep_skipped,
            )
