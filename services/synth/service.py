"""The synth service: takes requests as there is room, in turns by session, and runs a job for each.

Room is the engine's slots plus a few ahead. What waits here is kept from being handed out to others; at the end what
has not begun goes back at once, and what is being spoken is finished or handed back within DRAIN_S.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from orastream import streams, tasks
from orastream.errors import OrastreamError, SettingsError
from orastream.lifecycle import Process
from orastream.pull import Delivery, Puller
from orastream.reports import Reports
from services.synth import resample
from services.synth.engine_host import EnginePool
from services.synth.engines.base import UnknownEngine
from services.synth.job import AGAIN_S, Bench, Job
from services.synth.observations import Observations
from services.synth.settings import SynthSettings
from services.synth.turns import Turns

AHEAD_PER_SLOT = 4
DRAIN_S = 6.0

log = structlog.get_logger()


class Synth:
    """`await run(stop)` serves until `stop` is set."""

    def __init__(self, bench: Bench, slots: int) -> None:
        self._bench = bench
        self._slots = slots
        self._turns: Turns[Delivery] = Turns()
        self._working: dict[int, tuple[Delivery, asyncio.Task[None]]] = {}
        self._puller = Puller(bench.js.bus, streams.SESSIONS, streams.SYNTH, self._on_delivery, self._capacity)

    @property
    def working(self) -> int:
        """Requests being spoken now."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Requests taken and not begun."""
        return len(self._turns)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`: take no more → give back what waits → finish what is spoken → give back the rest."""
        pull = asyncio.create_task(self._puller.run(), name="pull")
        keep = asyncio.create_task(self._keep(), name="keep")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({pull, keep, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            pull.cancel()
            stopped.cancel()
            for delivery in self._turns.clear():
                await delivery.give_back(0)
            await self._finish()
            await tasks.end(pull, keep, stopped)

    async def _finish(self) -> None:
        working = {task for _, task in self._working.values()}
        if working:
            _, late = await asyncio.wait(working, timeout=DRAIN_S)
            await tasks.end(*late)

    def _capacity(self) -> int:
        return self._slots * (1 + AHEAD_PER_SLOT) - len(self._turns) - len(self._working)

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.sequence in self._working:
            return  # handed out again while it is worked on: the job's ack counts for both
        self._turns.put(delivery.subject.split(".")[2], delivery.sequence, delivery)
        self._start_jobs()

    def _start_jobs(self) -> None:
        while len(self._working) < self._slots and (delivery := self._turns.take()) is not None:
            task = asyncio.create_task(self._work(delivery), name=f"job {delivery.sequence}")
            self._working[delivery.sequence] = (delivery, task)

    async def _work(self, delivery: Delivery) -> None:
        try:
            await Job(self._bench, delivery).run()
        except asyncio.CancelledError:
            await delivery.give_back(0)
            raise
        except OrastreamError as exc:
            log.warning("a request goes back", sequence=delivery.sequence, error=str(exc))
            await delivery.give_back(AGAIN_S)
        except Exception:  # noqa: BLE001 - a request's border: one request's fault must not end the others
            log.exception("a request failed; it goes back", sequence=delivery.sequence)
            self._bench.observe("internal", 1)
            await delivery.give_back(AGAIN_S)
        finally:
            del self._working[delivery.sequence]
            self._start_jobs()
            self._puller.room()

    async def _keep(self) -> None:
        """What is held must not be handed out again while this process lives."""
        while True:
            await asyncio.sleep(streams.SYNTH_ACK_WAIT_S / 3)
            for delivery in [*self._turns.all(), *(d for d, _ in self._working.values())]:
                await delivery.in_progress()


async def serve(process: Process, settings: SynthSettings) -> None:
    """Start the engines, then serve until the process is told to stop."""
    observations = Observations(process.metrics)
    process.unready = "the engine is loading"
    pool = EnginePool(settings.tts_engine, settings.synth_slots, log=log, stall_s=settings.synth_stall_seconds)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(pool)
        except UnknownEngine as exc:
            raise SettingsError(f"TTS_ENGINE: {exc}") from exc
        await asyncio.to_thread(resample.load)  # else the first request with a rate of its own waits for it
        bench = Bench(process.js, Reports(process.js), pool, settings, observations.observe)
        synth = Synth(bench, settings.synth_slots)
        gauge = process.metrics.gauge
        gauge("orastream_synth_working", "Requests being spoken now", lambda: float(synth.working))
        gauge("orastream_synth_waiting", "Requests taken and not begun", lambda: float(synth.waiting))
        gauge("orastream_synth_engine_restarts", "Engine processes started anew", lambda: float(pool.restarts))
        process.ready()
        await synth.run(process.stop)
