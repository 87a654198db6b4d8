"""The phrase cache: a speaker in front of another one. It stores the audio of sentences, with their words, for all
replicas of synth.

Cached audio takes the same path (order, encoder, cancel) as an engine's. If the store does not answer within
LOOKUP_TIMEOUT_S, the engine speaks, and the store is not asked for RETRY_AFTER_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, Protocol

import structlog

from orastream.base import tasks
from orastream.contract.errors import NodeUnavailable, OrastreamError, SettingsError
from orastream.jetstream.object_store import ObjectStore, object_store_config
from orastream.service.lifecycle import Process
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import SpokenWord
from services.synth.settings import SynthSettings
from services.synth.speech.kept_phrase import KeptPhrase
from services.synth.speech.phrase_key import Worth, phrase_key
from services.synth.speech.speaker import Speaker, Spoken
from services.synth.text.script import ScriptLine

LOOKUP_TIMEOUT_S = 0.25
"""Timeout of a look-up; after it the engine speaks."""
RETRY_AFTER_S = 5.0
"""No look-ups for this long after one has failed."""
_PIECE = 8 * 1024
_MAX_WAITING = 32  # sentences that are being stored; others are not stored meanwhile

LookUp = Literal["hit", "miss", "unanswered"]
"""The result of a look-up. `unanswered`: it failed or was late, or none was made because of such a one before."""

log = structlog.get_logger()


async def open_store(process: Process, settings: SynthSettings) -> ObjectStore:
    """Returns the object store of the phrases, created or updated to the settings.

    If that is not possible, also because the server gives it no room, `process.keeper` tries again, and sentences are
    spoken without the cache until then: synth must not end for a cache.
    """
    bucket = process.js.names.phrases_bucket
    config = object_store_config(
        bucket,
        max_bytes=settings.tts_phrase_cache_max_bytes,
        max_age_s=settings.tts_phrase_cache_seconds,
        replicas=settings.tts_stream_replicas,
    )
    try:
        await process.keeper.add(config, change=True)
    except (NodeUnavailable, SettingsError) as exc:
        log.warning("no phrase cache yet", error=str(exc))
    return ObjectStore(process.js, bucket, max_bytes=settings.tts_phrase_cache_max_bytes)


class PhraseStore(Protocol):
    """Where the audio is stored (`orastream.jetstream.object_store.ObjectStore`)."""

    async def get(self, name: str) -> bytes | None:
        """Returns the data of that name, None if there is none."""

    async def put(self, name: str, data: bytes) -> None:
        """Stores the data under that name."""


class PhraseCounts(Protocol):
    """Counters of the phrase cache."""

    def phrase_looked_up(self, result: LookUp) -> None:
        """Counts one sentence, by the result of its look-up."""
        ...

    def phrase_kept(self, size_bytes: int) -> None:
        """Counts one stored sentence."""
        ...


class CachingSpeaker:
    """Speaks sentences from `store`; the others through `speaker`, and then stores them. As `async with`.

    `counts` gets each sentence once, except while the engine is too fast for the cache to help, and each stored
    sentence. `clock` (seconds) measures the engine's speed. For one event loop, many tasks at once.
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
        self._paused_until = 0.0

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
        kept = await self._look_up(key) if self._worth.looking_up else None
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
            return  # the caller left the block early
        self._worth.note(recorded.spent_s)
        if whole and recorded.audio and self._worth.keeping(recorded.spent_s) and len(self._keeping) < _MAX_WAITING:
            task = asyncio.create_task(self._keep(key, recorded.phrase), name="keep a phrase")
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def _look_up(self, key: str) -> KeptPhrase | None:
        now = asyncio.get_running_loop().time()
        if now < self._paused_until:
            self._counts.phrase_looked_up("unanswered")
            return None
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                data = await self._store.get(key)
        except (OrastreamError, TimeoutError) as exc:
            self._paused_until = now + RETRY_AFTER_S
            self._counts.phrase_looked_up("unanswered")
            log.warning("the phrase cache does not answer; speaking without it", error=str(exc) or "too slow")
            return None
        kept = None if data is None else KeptPhrase.unpack(data)
        self._counts.phrase_looked_up("miss" if kept is None else "hit")
        return kept

    async def _keep(self, key: str, phrase: KeptPhrase) -> None:
        try:
            await self._store.put(key, phrase.pack())
        except OrastreamError as exc:
            log.warning("a phrase could not be kept", error=str(exc), bytes=len(phrase.pcm))
        else:
            self._counts.phrase_kept(len(phrase.pcm))


class _Kept:
    """A sentence from the store, as `Spoken`."""

    def __init__(self, phrase: KeptPhrase, skip_bytes: int) -> None:
        self._audio = phrase.pcm
        self._at = min(skip_bytes, len(phrase.pcm))
        self.words = phrase.words
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
    """A sentence from the engine, as `Spoken`; collects its audio and the time spent waiting for it."""

    def __init__(self, spoken: Spoken, clock: Callable[[], float]) -> None:
        self._spoken = spoken
        self._pieces = aiter(spoken)
        self._clock = clock
        self.audio = bytearray()
        self.spent_s = 0.0

    @property
    def total_bytes(self) -> int | None:
        return self._spoken.total_bytes

    @property
    def words(self) -> Sequence[SpokenWord]:
        return self._spoken.words

    @property
    def phrase(self) -> KeptPhrase:
        """The sentence, after it was read to its end."""
        return KeptPhrase(bytes(self.audio), tuple(self.words))

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
