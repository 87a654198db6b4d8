"""Tells the node on `tts.load` how much work this synth has, and finds the requests that will not be spoken in time."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import NoReturn

import structlog

from orastream.broker import Headers, Subscription
from orastream.client.load_watch import LoadWatch
from orastream.contract.errors import OrastreamError
from orastream.contract.load import EVERY_S, MAX_WORK_S, SynthLoad
from orastream.jetstream.api import JetStream
from services.synth.queue.fair_queue import FairQueue
from services.synth.queue.pace import Pace
from services.synth.queue.queued_request import QueuedRequest
from services.synth.queue.slots import Slots

log = structlog.get_logger()

SOON_S = 0.05
"""Time between two messages at least."""
MAX_CANCELS = 4096
"""Sessions whose last cancel is remembered."""
LEAST_SHARE = 0.05
"""At least this share of the slots counts as available for new requests, however many utterances are suspended."""
MARGIN = 1.25
MARGIN_S = 1.0
"""A request is hopeless if its estimated wait is longer than MARGIN times the rest of its ttl, plus MARGIN_S."""


class LoadReport:
    """The load of one synth. `await run()` publishes it until cancelled. For one event loop."""

    def __init__(
        self,
        js: JetStream,
        name: str,
        slots: Slots,
        queue: FairQueue[QueuedRequest],
        pace: Pace,
        can_speak: Callable[[], bool],
    ) -> None:
        """`name` is unique to the process; `can_speak` returns whether an engine process can speak now."""
        self.watch = LoadWatch(js.broker, js.names.load, math.inf)
        self._js = js
        self._name = name
        self._slots = slots
        self._queue = queue
        self._pace = pace
        self._can_speak = can_speak
        self._begun: dict[int, float] = {}  # sequence → when its slot is free, as estimated
        self._cancelled_at: dict[str, float] = {}  # session → its last cancel, in unix seconds of the server's clock
        self._cancels: Subscription | None = None
        self._changed = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    def changed(self) -> None:
        """The queue or the slots have changed."""
        self._changed.set()

    def began(self, request: QueuedRequest) -> None:
        """A request of the queue has got a slot."""
        self._begun[request.delivery.sequence] = self._clock() + self._pace.of(request)
        self._changed.set()

    def ended(self, sequence: int) -> None:
        """A request with a slot has ended."""
        self._begun.pop(sequence, None)
        self._changed.set()

    def queued(self, request: QueuedRequest) -> None:
        """A request was put into the queue."""
        if request.supersedes:
            self._note_cancel(request.session, request.delivery.time_s)
        self._changed.set()

    def load(self) -> SynthLoad:
        """Return the load now; without slots while no engine process can speak."""
        if not self._can_speak():
            return SynthLoad(self._name, 0, 0, 0.0, 0.0)
        slots, taken, mean_s = self._slots.slots, self._slots.taken, self._pace.mean_s
        beyond = max(0, taken - slots)  # requests that went on although no slot was free
        work_s = sum(map(self._work_s, self._queue.all())) + self._left_s() + beyond * mean_s
        # Suspended utterances go on from time to time: the part of the slots that they use is not available for others.
        share = 1.0 - len(self._slots.suspended) * self._pace.rtf / slots
        work_s /= max(share, LEAST_SHARE)
        return SynthLoad(self._name, slots, max(0, slots - taken), min(work_s, MAX_WORK_S), min(mean_s, MAX_WORK_S))

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
            if self._cancels is not None:
                await self._cancels.close()

    def hopeless(self, may: Callable[[QueuedRequest], bool]) -> list[tuple[QueuedRequest, float]]:
        """Return the requests of the queue that no synth will claim within their ttl, with the estimated seconds.

        `may` says whether a request may begin when a slot is free. None while another synth has a free slot, or before
        the first utterance. The caller decides about each, and then ends its `judging`.
        """
        others = self.watch.load.known(self._clock(), without=self._name)
        if self._slots.free or not self._pace.known or any(load.free for load in others):
            return []
        slots = self._slots.slots
        all_slots = slots + sum(load.slots for load in others)
        others_s = sum(load.work_s for load in others)
        ahead_s = self._left_s()
        now_s = self._js.clock.now_s()
        found: list[tuple[QueuedRequest, float]] = []
        for _, _, request in self._queue.in_order(may):
            wait_s = min(ahead_s / slots, (ahead_s + others_s) / all_slots)
            patience_s = MARGIN * (request.expires_at_s - now_s) + MARGIN_S
            if wait_s > max(patience_s, MARGIN_S) and not request.claimed:
                if not request.judging:
                    request.judging = True
                    found.append((request, wait_s))
            else:
                ahead_s += self._work_s(request)
        return found

    def cancelled(self, request: QueuedRequest) -> bool:
        """Whether a cancel of its session was published after it, or a request that supersedes. This is no decision:
        perhaps the cancel is not stored, or the request supersedes nothing.
        """
        return request.delivery.time_s < self._cancelled_at.get(request.session, 0.0)

    def _work_s(self, request: QueuedRequest) -> float:
        return 0.0 if self.cancelled(request) else self._pace.of(request)

    def _on_cancel(self, subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        """A cancel was published. It may not be stored yet, so it only changes the estimate."""
        if data in (b"", b"{}"):  # else of one request
            self._note_cancel(subject.rpartition(".")[2], self._js.clock.now_s())

    def _note_cancel(self, session: str, at_s: float) -> None:
        if len(self._cancelled_at) >= MAX_CANCELS:
            self._cancelled_at.clear()
        self._cancelled_at[session] = max(at_s, self._cancelled_at.get(session, 0.0))

    def _left_s(self) -> float:
        now = self._clock()
        return sum(max(0.0, free_at - now) for free_at in self._begun.values())

    async def _opened(self) -> bool:
        try:
            await self.watch.open()
            self._cancels = self._cancels or await self._js.broker.subscribe(
                self._js.names.cancel("*"), self._on_cancel
            )
        except OrastreamError as exc:
            log.debug("the load of other synths is not known", error=str(exc))
            return False
        return True

    async def _publish(self, load: SynthLoad) -> None:
        with contextlib.suppress(OrastreamError):  # NATS is away: then nobody can ask, either
            for subject in self._js.names.with_front(self._js.names.load):
                await self._js.broker.publish(subject, load.encode())
