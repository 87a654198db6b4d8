"""The synth service: pulls requests, takes them in turn by session, and runs a job for each one.

It queues up to LOOK_AHEAD requests. The stream has them in the order of publishing, so with a short queue one session
with many requests would hide the sessions behind it. It keeps AHEAD_PER_SLOT for each slot (`in_progress`) and naks the
others every SHARE_EVERY_S, for other synths. A job that waits for streamed text takes no slot, nor one whose listener
has enough audio while others wait (`queue.turns`). At a drain it naks the queue and those jobs at once; the others may
end within `Drain.work_s`, then it naks the rest.
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
from orastream.contract.stored_requests import streams_text
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from orastream.jetstream.report_store import ReportStore
from orastream.service.lifecycle import Process, Serve
from services.synth import gauges
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
from services.synth.queue.rescue import Rescue
from services.synth.queue.slots import Slots
from services.synth.queue.turns import SlotTurn, SlotTurns
from services.synth.settings import SynthSettings
from services.synth.speech.phrase_cache import CachingSpeaker, open_store
from services.synth.speech.speaker import PoolSpeaker, Speaker
from services.synth.text.late_pieces import LatePieces

AHEAD_PER_SLOT = 4
"""Queued requests that a synth keeps for each slot."""
LOOK_AHEAD = 512
"""Maximum number of queued requests, from which the queue takes the next one by session."""
SHARE_EVERY_S = 1.0
"""Seconds between two checks for queued requests beyond AHEAD_PER_SLOT, which get a nak."""
SURPLUS_NAK_DELAY_S = 3.0
"""Delay of the nak for the surplus of a full queue, so that the consumer delivers the requests behind it first."""

log = structlog.get_logger()


class Synth:
    """`await run(stop)` serves until `stop` is set. For one event loop."""

    def __init__(self, context: SynthContext) -> None:
        self._context = context
        settings = context.settings
        self._slots = Slots(settings.synth_slots, settings.synth_open_texts, settings.synth_suspended)
        self._turns = SlotTurns(
            self._slots, settings.synth_lead_seconds, others_wait=lambda: self.waiting > 0, on_free=self._go_on
        )
        self._queue: FairQueue[Delivery] = FairQueue()
        self._working: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, Delivery] = {}
        """The deliveries of the requests with a job, by sequence."""
        self._delivered_again: dict[int, Delivery] = {}
        """Newer deliveries of requests that have a job, by sequence."""
        self._short_tasks: set[asyncio.Task[None]] = set()
        self._pull_consumer = PullConsumer(
            context.js.broker, stream_names.SESSIONS, stream_names.SYNTH, self._on_delivery, self._capacity
        )
        self._rescue = Rescue(context.js, lambda: (*self._held.values(), *self._queue.all()[: self._ahead]))

    def lacking(self) -> str | None:
        """Why this synth cannot pull requests now, or None."""
        return self._pull_consumer.lacking()

    @property
    def working(self) -> int:
        """Number of requests with a job."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Number of requests that were pulled and have no job yet."""
        return len(self._queue)

    @property
    def open_texts(self) -> int:
        """Number of jobs that wait for streamed text."""
        return len(self._slots.waiting)

    @property
    def suspended(self) -> int:
        """Number of jobs whose listener has enough audio while others speak."""
        return len(self._slots.suspended)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain: stop pulling → nak the queue → let jobs end → nak the rest.

        A cancel drains, too. Raises what a task of the service raises.
        """
        start = asyncio.create_task
        pull, share = start(self._pull_consumer.run(), name="pull"), start(self._share(), name="share")
        keep, rescue = start(self._keep(), name="keep"), start(self._rescue.run(), name="rescue")
        stopped = start(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({pull, keep, share, rescue, stopped}, return_when=asyncio.FIRST_COMPLETED)
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
            await tasks.end(pull, keep, share, rescue, stopped, *self._short_tasks)

    async def _finish(self) -> None:
        idle = self._slots.waiting | self._slots.suspended  # another synth can wait
        await tasks.end(*(self._working[sequence] for sequence in idle))
        if self._working:
            _, late = await asyncio.wait(set(self._working.values()), timeout=self._context.settings.drain.work_s)
            await tasks.end(*late)

    def _capacity(self) -> int:
        begin = max(0, self._slots.slots - self._slots.taken)
        return max(LOOK_AHEAD, self._ahead) + begin - len(self._queue)

    @property
    def _ahead(self) -> int:
        return AHEAD_PER_SLOT * self._slots.slots

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.sequence in self._working:
            # The job's ack counts for both deliveries. But a superseded job sends no ack, and the synth that
            # superseded it may be dead: `_work` then begins a job for this delivery.
            self._delivered_again[delivery.sequence] = delivery
            return
        session = subjects.session_of(delivery.subject)
        if session is None:
            self._spawn(delivery.discard(self._context.js))
            return
        self._queue.put(session, delivery.sequence, delivery)
        self._start_jobs()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a short task. A drain waits for it up to REDELIVER_TIMEOUT_S."""
        task = asyncio.create_task(work)
        self._short_tasks.add(task)
        task.add_done_callback(self._short_tasks.discard)

    def _start_jobs(self) -> None:
        while self._slots.free and (delivery := self._queue.take(self._may_begin)) is not None:
            hold = Hold(delivery)
            job = Job(
                self._context, hold, SlotTurn(self._turns, delivery.sequence, self._context.settings.sign_every_s)
            )
            self._slots.begin(delivery.sequence, streamed=job.streams_text)
            self._held[delivery.sequence] = delivery
            task = asyncio.create_task(self._work(job, hold), name=f"job {delivery.sequence}")
            self._working[delivery.sequence] = task
            self._rescue.changed()
        while self._turns.give():
            pass

    def _may_begin(self, delivery: Delivery) -> bool:
        return self._slots.room_for_text or not streams_text(delivery)

    async def _work(self, job: Job, hold: Hold) -> None:
        delivery = hold.delivery
        try:
            await job.run()
        except asyncio.CancelledError:
            # In a separate task: `tasks.end` cancels this task again after half a second.
            self._spawn(hold.redeliver(0))
            raise
        except OrastreamError as exc:
            log.warning("request not finished; nak", sequence=delivery.sequence, error=str(exc))
            await hold.redeliver(AGAIN_S)
        except Exception:  # noqa: BLE001 - an error in one job must not end the other jobs
            log.exception("request failed; nak", sequence=delivery.sequence)
            self._context.metrics.done("internal")
            await hold.redeliver(AGAIN_S)
        finally:
            del self._working[delivery.sequence], self._held[delivery.sequence]
            self._rescue.changed()
            self._slots.end(delivery.sequence)
            again = self._delivered_again.pop(delivery.sequence, None)
            if again is not None and hold.superseded:
                self._on_delivery(again)
            self._go_on()

    def _go_on(self) -> None:
        self._start_jobs()
        self._pull_consumer.room()

    async def _keep(self) -> None:
        """Send `in_progress` for queued requests, so that the server does not redeliver them. Jobs do it themselves."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            for delivery in self._queue.all():
                await delivery.in_progress()

    async def _share(self) -> None:
        """Nak the queued requests beyond AHEAD_PER_SLOT: the next synth with a free slot, this one too, gets them."""
        while True:
            await asyncio.sleep(SHARE_EVERY_S)
            full = self._capacity() <= 0
            for delivery in self._queue.surplus(self._ahead, self._may_begin):
                await delivery.nak(SURPLUS_NAK_DELAY_S if full else 0)
                self._rescue.changed()
            self._pull_consumer.room()


def serve(settings: SynthSettings) -> Serve:
    """The synth service with these settings, for `orastream.service.lifecycle`."""
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
            raise SettingsError(_settings_problem(settings, exc)) from exc
        except Misconfigured as exc:
            raise SettingsError(str(exc)) from exc
        await asyncio.to_thread(resample.load)  # else the first request with a `sampleRate` waits for the import
        speaker: Speaker = PoolSpeaker(pool, rtf=settings.tts_engine_rtf)
        if settings.caches_phrases:
            store = await open_store(process, settings)
            speaker = await stack.enter_async_context(CachingSpeaker(speaker, store, metrics))
        context = SynthContext(process.js, ReportStore(process.js), speaker, settings, metrics)
        synth = Synth(context)
        gauges.register(process.metrics, synth, pool, backlog)
        watch = asyncio.create_task(backlog.watch(), name="backlog")
        changed = asyncio.create_task(_drain_when_changed(pool, process), name="engine changed")
        late = asyncio.create_task(LatePieces(process.js, context.reports).run(), name="late pieces")
        stack.push_async_callback(tasks.end, watch, changed, late)
        await _serve_voices(process, pool.info)
        process.checks.append(synth.lacking)
        process.ready()
        await synth.run(process.stop)
        if changed.done():
            raise changed.result()


async def _drain_when_changed(pool: EnginePool, process: Process) -> EngineChanged:
    """Drain the service when the engine reports another EngineInfo. The restarted service creates a new pool."""
    change = await pool.changed()
    log.error("the engine has changed; synth ends and must be restarted", problem=str(change))
    process.unready = str(change)
    process.stop.set()
    return change


async def _serve_voices(process: Process, info: EngineInfo) -> None:
    there = [
        voices.Voice(voice.name, voice.language, voice.sample_rate_hz, info.name, info.version)
        for voice in info.voices.values()
    ]
    await voices.serve(process.js.broker, there, engine=info.name, version=info.version)


def _settings_problem(settings: SynthSettings, problem: EngineError) -> str:
    """The error text for a setting, when the engine cannot be loaded."""
    if settings.engine_python is None:
        return f"TTS_ENGINE: {problem}"
    fix = f"; install it there, with this project, or take another ENGINE_PYTHON than {settings.engine_python}"
    return f"ENGINE_PYTHON: {problem}{fix if isinstance(problem, UnknownEngine) else ''}"
