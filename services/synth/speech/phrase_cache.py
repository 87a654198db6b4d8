"""Sentences that were spoken before start at once: a speaker in front of another, with a store that replicas share.

What comes from here goes through the same order, encoder and cancel as what an engine makes. A store that does not
answer costs PATIENCE_S once in a while, never an utterance.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import structlog

from orastream.base import tasks
from orastream.contract.errors import NodeUnavailable, OrastreamError
from orastream.jetstream.object_store import ObjectStore, object_store_config
from orastream.service.lifecycle import Process
from services.synth.engine_pool.process import EngineInfo
from services.synth.settings import SynthSettings
from services.synth.speech.phrase_key import Worth, phrase_key
from services.synth.speech.speaker import Speaker, Spoken
from services.synth.text.script import ScriptLine

BUCKET = "tts_phrases"
PATIENCE_S = 0.25
"""A look-up that takes longer is given up; the engine speaks."""
SULK_S = 5.0
"""After that the store is left alone for so long."""
_PIECE = 8 * 1024
_MAX_WAITING = 32  # sentences on their way to the store; more are not kept

log = structlog.get_logger()


async def open_store(process: Process, settings: SynthSettings) -> ObjectStore:
    """The object store `tts_phrases`, made or brought to the settings, and kept. Raises SettingsError.

    Where it cannot be made now, sentences are spoken without it until it is.
    """
    config = object_store_config(
        BUCKET,
        max_bytes=settings.tts_phrase_cache_max_bytes,
        max_age_s=settings.tts_phrase_cache_seconds,
        replicas=settings.tts_stream_replicas,
    )
    try:
        await process.keeper.add(config, change=True)
    except NodeUnavailable as exc:
        log.warning("no phrase cache yet", error=str(exc))
    return ObjectStore(process.js, BUCKET, max_bytes=settings.tts_phrase_cache_max_bytes)


class PhraseStore(Protocol):
    """Where the audio is kept (`orastream.jetstream.object_store.Objects`)."""

    async def get(self, name: str) -> bytes | None:
        """What is kept under that name."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep it."""


class PhraseCounts(Protocol):
    """What the phrase cache counts."""

    def phrase_looked_up(self, *, found: bool) -> None:
        """A sentence was looked for."""
        ...

    def phrase_kept(self, size_bytes: int) -> None:
        """A sentence was put into the store."""
        ...


class CachingSpeaker:
    """Speaks from `store` what is there, and through `speaker` what is not, which it then keeps; as `async with`.

    `counts` learns of each line that was looked for, and of each that was put into the store.
    `clock` (seconds) is what an engine's speed is measured by.
    """

    def __init__(
        self,
        speaker: Speaker,
        store: PhraseStore,
        counts: PhraseCounts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._speaker = speaker
        self._store = store
        self._counts = counts
        self._clock = clock
        self._worth = Worth()
        self._keeping: set[asyncio.Task[None]] = set()
        self._sulking_until = 0.0

    async def __aenter__(self) -> CachingSpeaker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await tasks.end(*self._keeping)

    @property
    def info(self) -> EngineInfo:
        """See Speaker."""
        return self._speaker.info

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        key = phrase_key(self.info, line, voice)
        kept = await self._look_up(key)
        if kept is not None:
            yield _Kept(kept, 0 if keep_skipped else skip_bytes)
            return
        whole = keep_skipped or not skip_bytes
        async with self._speaker.speak(
            line, voice=voice, due_s=due_s, skip_bytes=skip_bytes, keep_skipped=keep_skipped
        ) as spoken:
            recorded = _Recorded(spoken, self._clock)
            yield recorded
        if spoken.total_bytes is None:
            return  # left early: cancelled, or broken off
        self._worth.note(recorded.spent_s)
        if whole and recorded.audio and self._worth.keeping(recorded.spent_s) and len(self._keeping) < _MAX_WAITING:
            task = asyncio.create_task(self._keep(key, bytes(recorded.audio)), name="keep a phrase")
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def _look_up(self, key: str) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if not self._worth.looking_up or now < self._sulking_until:
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                kept = await self._store.get(key)
        except (OrastreamError, TimeoutError) as exc:
            self._sulking_until = now + SULK_S
            log.warning("the phrase cache does not answer; speaking without it", error=str(exc) or "too slow")
            return None
        self._counts.phrase_looked_up(found=kept is not None)
        return kept

    async def _keep(self, key: str, audio: bytes) -> None:
        try:
            await self._store.put(key, audio)
        except OrastreamError as exc:
            log.warning("a phrase could not be kept", error=str(exc), bytes=len(audio))
        else:
            self._counts.phrase_kept(len(audio))


class _Kept:
    """A sentence that is there as a whole."""

    def __init__(self, audio: bytes, skip_bytes: int) -> None:
        self._audio = audio
        self._at = min(skip_bytes, len(audio))
        self.total_bytes: int | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._audio[self._at : self._at + _PIECE]
        if not piece:
            self.total_bytes = len(self._audio)
            raise StopAsyncIteration
        self._at += len(piece)
        return piece


class _Recorded:
    """A sentence that is listened to while it is spoken."""

    def __init__(self, spoken: Spoken, clock: Callable[[], float]) -> None:
        self._spoken = spoken
        self._pieces = aiter(spoken)
        self._clock = clock
        self.audio = bytearray()
        self.spent_s = 0.0

    @property
    def total_bytes(self) -> int | None:
        return self._spoken.total_bytes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        began = self._clock()
        try:
            piece = await anext(self._pieces)
        finally:
            self.spent_s += self._clock() - began
        self.audio += piece
        return piece
