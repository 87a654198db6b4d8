"""Tells the node on `tts.load` how much work this synth has, and finds the requests that will not be spoken in time."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import NoReturn

import structlog

from orastream.client.load_watch import LoadWatch
from orastream.contract import subjects
from orastream.contract.errors import OrastreamError
from orastream.contract.load import EVERY_S, SynthLoad
from orastream.contract.stored_requests import ttl_of
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.pace import Pace
from services.synth.queue.slots import Slots

log = structlog.get_logger()

SOON_S = 0.05
"""Time between two messages at least."""
MARGIN = 1.25
MARGIN_S = 1.0
"""A request is hopeless if its estimated wait is longer than MARGIN times the rest of its ttl, plus MARGIN_S."""
MAX_KEPT = 4096


class LoadReport:
    """The load of one synth. `await run()` publishes it until cancelled. For one event loop."""

    def __init__(self, js: JetStream, name: str, slots: Slots, queue: FairQueue[Delivery], pace: Pace) -> None:
        """`name` is unique to the process."""
        self.watch = LoadWatch(js.broker, math.inf)
        self._js = js
        self._name = name
        self._slots = slots
        self._queue = queue
        self._pace = pace
        self._begun: dict[int, float] = {}  # sequence → when its slot is free, as estimated
        self._kept: set[int] = set()  # sequences that are not hopeless: they were claimed before
        self._changed = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    def changed(self) -> None:
        """The queue or the slots have changed."""
        self._changed.set()

    def began(self, delivery: Delivery) -> None:
        """A request of the queue has got a slot."""
        self._begun[delivery.sequence] = self._clock() + self._pace.of(len(delivery.data))
        self._changed.set()

    def ended(self, sequence: int) -> None:
        """A request with a slot has ended."""
        self._begun.pop(sequence, None)
        self._kept.discard(sequence)
        self._changed.set()

    def keep(self, sequence: int) -> None:
        """A request was claimed before, so its ttl does not count: do not return it from `hopeless`."""
        if len(self._kept) >= MAX_KEPT:  # others have ended here those that left
            self._kept.clear()
        self._kept.add(sequence)

    def load(self) -> SynthLoad:
        """Return the load now."""
        queued_s = sum(self._pace.of(len(delivery.data)) for delivery in self._queue.all())
        free = max(0, self._slots.slots - self._slots.taken)
        work_s = queued_s + self._left_s()
        return SynthLoad(self._name, self._slots.slots, free, work_s, self._pace.mean_s)

    def wait_s(self) -> float:
        """Return the estimated seconds until a request stored now gets a slot of any synth."""
        return self.watch.load.wait_s(self._clock()) or 0.0

    async def run(self) -> NoReturn:
        """Publish the load until cancelled. Then say that the synth ends."""
        opened = False
        try:
            while True:
                if not opened:
                    opened = await self._opened()
                self._changed.clear()
                await self._publish(self.load())
                await asyncio.sleep(SOON_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._changed.wait()
        finally:
            await self._publish(SynthLoad(self._name, 0, 0, 0.0, 0.0))
            await self.watch.close()

    def hopeless(self, may: Callable[[Delivery], bool]) -> list[tuple[Delivery, float]]:
        """Take the requests out of the queue that no synth will claim within their ttl; with the estimated seconds.

        `may` says whether a request may begin when a slot is free. None while another synth has a free slot.
        """
        others = self.watch.load.known(self._clock(), without=self._name)
        if self._slots.free or any(load.free for load in others):
            return []
        slots = self._slots.slots
        all_slots = slots + sum(load.slots for load in others)
        others_s = sum(load.work_s for load in others)
        ahead_s = self._left_s()
        now_s = self._js.clock.now_s()
        found: list[tuple[Delivery, float]] = []
        for session, sequence, delivery in self._queue.in_order(may):
            wait_s = min(ahead_s / slots, (ahead_s + others_s) / all_slots)
            if (
                sequence not in self._kept
                and wait_s > MARGIN_S
                and wait_s > MARGIN * (delivery.time_s + ttl_of(delivery) - now_s) + MARGIN_S
            ):
                self._queue.remove(session, sequence)
                found.append((delivery, wait_s))
            else:
                ahead_s += self._pace.of(len(delivery.data))
        return found

    def _patience_s(self, delivery: Delivery, now_s: float) -> float:
        return MARGIN * (delivery.time_s + ttl_of(delivery) - now_s) + MARGIN_S

    def _left_s(self) -> float:
        now = self._clock()
        return sum(max(0.0, free_at - now) for free_at in self._begun.values())

    async def _opened(self) -> bool:
        try:
            await self.watch.open()
        except OrastreamError as exc:
            log.debug("the load of other synths is not known", error=str(exc))
            return False
        return True

    async def _publish(self, load: SynthLoad) -> None:
        with contextlib.suppress(OrastreamError):  # NATS is away: then nobody can ask, either
            await self._js.broker.publish(subjects.LOAD, load.encode())
