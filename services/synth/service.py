"""The synth service: takes requests as there is room, in turns by session, and runs a job for each.

Room is the engine's slots plus a few ahead; a request that waits for more of its text takes no slot. The stream is in
the order of asking, so whoever asked for much would hide those behind: up to LOOK_AHEAD are taken to see whose turn it
is, and what is too much goes back every LOOKED_S, for other synths. What waits here is kept from being handed out to
others; at the end what has not begun goes back at once, and what is being spoken is finished or handed back within
DRAIN_S.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from orastream.base import tasks
from orastream.client import voices
from orastream.contract import stream_names, subjects
from orastream.contract.errors import OrastreamError, SettingsError
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from orastream.jetstream.report_store import ReportStore
from orastream.service.lifecycle import Process, Serve
from services.synth.audio import resample
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import EngineInfo, ProcessLimits
from services.synth.engines.base import EngineChanged, EngineError, Misconfigured, UnknownEngine, WrongInterpreter
from services.synth.job.context import SynthContext
from services.synth.job.hold import KEEP_EVERY_S, REDELIVER_TIMEOUT_S, Hold
from services.synth.job.job import AGAIN_S, Job
from services.synth.job.metrics import SynthMetrics
from services.synth.queue.backlog import Backlog
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.slots import Slots
from services.synth.settings import SynthSettings
from services.synth.speech.phrase_cache import CachingSpeaker, open_store
from services.synth.speech.speaker import PoolSpeaker, Speaker

AHEAD_PER_SLOT = 4
LOOK_AHEAD = 512
LOOKED_S = 1.0
FURTHER_S = 3.0
"""LOOK_AHEAD was not far enough: so long goes back what is not kept, so that what stands behind it is seen."""
DRAIN_S = 6.0

log = structlog.get_logger()


class Synth:
    """`await run(stop)` serves until `stop` is set."""

    def __init__(self, context: SynthContext, slots: Slots) -> None:
        self._context = context
        self._slots = slots
        self._queue: FairQueue[Delivery] = FairQueue()
        self._working: dict[int, asyncio.Task[None]] = {}
        self._delivered_again: dict[int, Delivery] = {}
        """Newer deliveries of what is being worked on."""
        self._short_tasks: set[asyncio.Task[None]] = set()
        self._pull_consumer = PullConsumer(
            context.js.broker, stream_names.SESSIONS, stream_names.SYNTH, self._on_delivery, self._capacity
        )

    def lacking(self) -> str | None:
        """Why no request can be taken now, or None."""
        return self._pull_consumer.lacking()

    @property
    def working(self) -> int:
        """Requests being spoken now."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Requests taken and not begun."""
        return len(self._queue)

    @property
    def open_texts(self) -> int:
        """Of those being spoken, how many wait for more of their text."""
        return len(self._slots.waiting)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`: stop pulling → NAK what waits → finish what is being spoken → NAK the rest."""
        pull = asyncio.create_task(self._pull_consumer.run(), name="pull")
        keep = asyncio.create_task(self._keep(), name="keep")
        share = asyncio.create_task(self._share(), name="share")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({pull, keep, share, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            pull.cancel()
            share.cancel()
            stopped.cancel()
            for delivery in self._queue.clear():
                await delivery.nak(0)
            await self._finish()
            if self._short_tasks:
                await asyncio.wait(self._short_tasks, timeout=REDELIVER_TIMEOUT_S)
            await tasks.end(pull, keep, share, stopped, *self._short_tasks)

    async def _finish(self) -> None:
        await tasks.end(*(self._working[sequence] for sequence in self._slots.waiting))  # another synth waits as well
        if self._working:
            _, late = await asyncio.wait(set(self._working.values()), timeout=DRAIN_S)
            await tasks.end(*late)

    def _capacity(self) -> int:
        begin = max(0, self._slots.slots - self._slots.taken)
        return max(LOOK_AHEAD, self._ahead) + begin - len(self._queue)

    @property
    def _ahead(self) -> int:
        return AHEAD_PER_SLOT * self._slots.slots

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.sequence in self._working:
            # The job's ack counts for both. A job that another synth has superseded sends none, and that synth may be
            # dead: then this delivery is the next one.
            self._delivered_again[delivery.sequence] = delivery
            return
        session = subjects.session_of(delivery.subject)
        if session is None:
            self._spawn(delivery.discard(self._context.js))
            return
        self._queue.put(session, delivery.sequence, delivery)
        self._start_jobs()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A short task that the drain waits for."""
        task = asyncio.create_task(work)
        self._short_tasks.add(task)
        task.add_done_callback(self._short_tasks.discard)

    def _start_jobs(self) -> None:
        while self._slots.free and (delivery := self._queue.take()) is not None:
            self._slots.begin(delivery.sequence)
            task = asyncio.create_task(self._work(delivery), name=f"job {delivery.sequence}")
            self._working[delivery.sequence] = task

    async def _work(self, delivery: Delivery) -> None:
        hold = Hold(delivery)
        try:
            await Job(self._context, hold, partial(self._waits, delivery.sequence)).run()
        except asyncio.CancelledError:
            # In a task of its own: whoever ends this one cancels it again after half a second.
            self._spawn(hold.redeliver(0))
            raise
        except OrastreamError as exc:
            log.warning("a request goes back", sequence=delivery.sequence, error=str(exc))
            await hold.redeliver(AGAIN_S)
        except Exception:  # noqa: BLE001 - a request's border: one request's fault must not end the others
            log.exception("a request failed; it goes back", sequence=delivery.sequence)
            self._context.metrics.done("internal")
            await hold.redeliver(AGAIN_S)
        finally:
            del self._working[delivery.sequence]
            self._slots.end(delivery.sequence)
            again = self._delivered_again.pop(delivery.sequence, None)
            if again is not None and hold.superseded:
                self._on_delivery(again)
            self._go_on()

    def _waits(self, sequence: int, waits: bool) -> None:
        self._slots.wait(sequence, waits)
        if waits:
            self._go_on()

    def _go_on(self) -> None:
        self._start_jobs()
        self._pull_consumer.room()

    async def _keep(self) -> None:
        """What waits here must not be handed out again while this process lives; each job does the same for its own."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            for delivery in self._queue.all():
                await delivery.in_progress()

    async def _share(self) -> None:
        """What was taken to be looked at only goes back: whoever has a slot for it may have it, this synth too."""
        while True:
            await asyncio.sleep(LOOKED_S)
            full = self._capacity() <= 0
            for delivery in self._queue.surplus(self._ahead):
                await delivery.nak(FURTHER_S if full else 0)
            self._pull_consumer.room()


def serve(settings: SynthSettings) -> Serve:
    """The service, wired."""
    return partial(_serve, settings=settings)


async def _serve(process: Process, settings: SynthSettings) -> None:
    """Start the engines, then serve until the process is told to stop. Raises EngineChanged after a drain."""
    backlog = Backlog(process.js)
    metrics = SynthMetrics(process.metrics, backlog.spoken)
    process.unready = "the engine is loading"
    pool = EnginePool(
        settings.tts_engine,
        settings.synth_slots,
        log=log,
        python=str(settings.engine_python) if settings.engine_python else None,
        default_voice=settings.tts_voice,
        limits=ProcessLimits(settings.engine_max_memory_mb, stall_s=settings.synth_stall_seconds),
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(pool)
        except (UnknownEngine, WrongInterpreter) as exc:
            raise SettingsError(_to_set(settings, exc)) from exc
        except Misconfigured as exc:
            raise SettingsError(str(exc)) from exc
        await asyncio.to_thread(resample.load)  # else the first request with a rate of its own waits for it
        speaker: Speaker = PoolSpeaker(pool, rtf=settings.tts_engine_rtf)
        if settings.caches_phrases:
            store = await open_store(process, settings)
            speaker = await stack.enter_async_context(CachingSpeaker(speaker, store, metrics))
        context = SynthContext(process.js, ReportStore(process.js), speaker, settings, metrics)
        synth = Synth(context, Slots(settings.synth_slots, settings.synth_open_texts))
        gauge = process.metrics.gauge
        gauge("orastream_synth_working", "Requests being spoken now", lambda: float(synth.working))
        gauge("orastream_synth_waiting", "Requests taken and not begun", lambda: float(synth.waiting))
        gauge("orastream_synth_open_texts", "Of those being spoken, waiting for text", lambda: float(synth.open_texts))
        gauge("orastream_synth_engines", "Engine processes that can speak", lambda: float(pool.alive))
        process.metrics.total(
            "orastream_synth_engine_restarts",
            "Engine processes started in the place of one that died, hung or held too much memory",
            lambda: pool.restarts,
        )
        gauge(
            "orastream_synth_backlog_seconds",
            "Speech taken by this synth and not begun, estimated",
            lambda: synth.waiting * backlog.mean_s,
        )
        gauge(
            "orastream_stream_backlog_seconds",
            "Speech that no synth has taken yet, estimated; the same at each synth",
            lambda: backlog.seconds,
        )
        gauge(
            "orastream_audio_stream_bytes",
            "What the stream of audio holds; the same at each synth",
            lambda: backlog.audio_bytes,
        )
        gauge(
            "orastream_audio_stream_max_bytes",
            "What it may hold (TTS_AUDIO_MAX_BYTES); when it is full, synths wait",
            lambda: backlog.audio_max_bytes,
        )
        watch = asyncio.create_task(backlog.watch(), name="backlog")
        changed = asyncio.create_task(_drain_when_changed(pool, process), name="engine changed")
        stack.push_async_callback(tasks.end, watch, changed)
        await _tell_voices(process, pool.info)
        process.checks.append(synth.lacking)
        process.ready()
        await synth.run(process.stop)
        if changed.done():
            raise changed.result()


async def _drain_when_changed(pool: EnginePool, process: Process) -> EngineChanged:
    """Ends the service as a signal does once its engine is not what it was: a new one begins with a new pool."""
    change = await pool.changed()
    log.error("the engine has changed; synth ends, to be started anew with what it is now", problem=str(change))
    process.unready = str(change)
    process.stop.set()
    return change


async def _tell_voices(process: Process, info: EngineInfo) -> None:
    there = [
        voices.Voice(voice.name, voice.language, voice.sample_rate_hz, info.name, info.version)
        for voice in info.voices.values()
    ]
    await voices.serve(process.js.broker, there, engine=info.name, version=info.version)


def _to_set(settings: SynthSettings, problem: EngineError) -> str:
    """What is wrong with the settings, if it is that engine that cannot be had."""
    if settings.engine_python is None:
        return f"TTS_ENGINE: {problem}"
    fix = f"; install it there, with this project, or take another ENGINE_PYTHON than {settings.engine_python}"
    return f"ENGINE_PYTHON: {problem}{fix if isinstance(problem, UnknownEngine) else ''}"
