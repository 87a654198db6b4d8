"""Runs one owned session: passes the feeds to the machines and carries out the effects that they return.

The loop runs after each event (`wake`, `nudge`) and does all work that needs no waiting. Work that waits runs in tasks
of the session's group. The session ends after a time without work, when its ownership is lost, or at a drain.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from orastream.base import logger, tasks
from orastream.base.wake_event import WakeEvent
from orastream.contract import stream_names, subjects
from orastream.contract.errors import NodeUnavailable
from orastream.contract.report_state import Verdict
from orastream.contract.stored_requests import StoredCancel, read_message
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import Begin, Effect, End, Stop
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.runtime.context import BridgeContext
from orastream.delivery.runtime.housekeeping import Housekeeping
from orastream.delivery.runtime.links import Links
from orastream.delivery.runtime.ownership import Ownership
from orastream.delivery.runtime.utterance_runner import UtteranceRunner
from orastream.delivery.runtime.wakeups import NAK_DELAY_S, Wakeups
from orastream.delivery.runtime.write_gate import WriteGate
from orastream.delivery.sink import Link
from orastream.jetstream.api import Stored
from orastream.jetstream.feed import Feed
from orastream.jetstream.pull_consumer import Delivery
from orastream.jetstream.report_store import ReportStore, Written

DRAIN_S = 6.0
FINISH_S = 1.0
LINKS_LOOKED_AT_S = 1.0
GATE_TICK_S = 0.25

log = logger.named(__name__)


class SessionRunner:
    """The owner's loop for one session. `await run()` returns when the session is over and released."""

    def __init__(self, context: BridgeContext, ownership: Ownership) -> None:
        self.js = context.js
        self.reports = ReportStore(context.js)
        self.epoch = ownership.epoch
        self._context = context
        self._ownership = ownership
        self._session = Session(context.sink.transport)
        self.wakeups = Wakeups(self._session)
        self._events = Feed(self.js, stream_names.SESSIONS, subjects.session_events(ownership.session), wake=self.wake)
        self._gate = WriteGate(context.lease, context.owners, ownership, self)
        self._loop = asyncio.get_running_loop()  # kept: each get_running_loop is a system call (getpid)
        self._wake_event = WakeEvent(self._loop)
        self._full_round = True
        self._full_round_at = 0.0
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._links = Links(context.sink, self.nudge)
        self._housekeeping = Housekeeping(self, self._session, ownership.session)
        self._delivering: UtteranceRunner | None = None
        self._leave_reason: str | None = None
        self._drain_until: float | None = None
        self._idle_since: float | None = None
        self._was_current = False

    # ---- calls from other objects

    @property
    def has_work(self) -> bool:
        """Whether an utterance is being delivered, or a request or cancel is stored or may be unread."""
        return self._idle_since is None

    def wake(self) -> None:
        """Run a full round of the loop."""
        self._full_round = True
        self._wake_event.set()

    def nudge(self) -> None:
        """Run a round for the utterance only: audio has come, or the link has room."""
        self._wake_event.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task in this session's group."""
        assert self._group is not None, "tasks are spawned from the running loop only"
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def woken(self, delivery: Delivery) -> None:
        """Hold a wake-up of this session until `Session.may_ack` allows its ack."""
        self.wakeups.hold(delivery)
        self._events.exists(delivery.sequence)
        self.wake()

    def drain(self) -> None:
        """Begin no delivery, finish the running one within DRAIN_S seconds, then release the session."""
        self._drain_until = self._loop.time() + DRAIN_S
        self.wake()

    async def link(self, session_id: str, phone_id: str) -> Link:
        """Return the open link of this phone, or open one. Raises LinkLost."""
        return await self._links.get(session_id, phone_id, self._loop.time())

    def reported(self, entry: Entry, written: Written) -> None:
        """Process the result of writing a report. After a final report by this owner, tidy up its request."""
        now = self._loop.time()
        self._session.report(entry.stored.token, written.state, now)
        if written.verdict is Verdict.SUPERSEDED:
            self.leave("another owner writes the report")
        elif written.verdict is Verdict.WRITTEN and written.state.report.final:
            self._session.report_written(entry, written.state, now)
            self._context.counts.ended(written.state.report.status)
            self._context.announce("ended", entry, written.state.report)
            self.spawn(self._housekeeping.close(entry, written.state.report))

    # ---- the loop

    async def run(self) -> None:
        """Serve the session until it is over. Cancel-safe: held wake-ups get a nak, and the session is released."""
        session = self._ownership.session
        with structlog.contextvars.bound_contextvars(session=subjects.untoken(session) or session):
            try:
                async with (
                    self._events,
                    Feed(self.js, stream_names.REPORTS, subjects.reports(session), wake=self.wake) as reports,
                    asyncio.TaskGroup() as group,
                ):
                    self._group = group
                    try:
                        await self._rounds(reports)
                    finally:
                        await self._shut_down()
            finally:
                await self._release()

    async def _rounds(self, reports: Feed) -> None:
        events = self._events
        while self._leave_reason is None:
            self._wake_event.clear()
            now = self._loop.time()
            if self._full_round or now >= self._full_round_at:
                self._full_round = False
                self._take(reports, now)
                # Read `verified` before the awaits below: meanwhile the feed may raise it past messages that the
                # machine has not been given yet, and their wake-ups must not be acked.
                verified = events.verified
                # The reports feed must be current too: its reports say how far the owner before has delivered.
                self._was_current |= events.current and reports.current
                if self._was_current:
                    for effect in self._session.poll(now):
                        await self._do(effect, now)
                self._session.forget(now, verified)
                await self.wakeups.ack_done(verified)
                await self._links.close_idle(now, self._delivering.entry.stored.phone_id if self._delivering else None)
                if self._finished(now):
                    break
                self._full_round_at = self._next_full_round(now)
            may_write = events.current and self._gate.open(now)
            await self._step_utterance(now, may_write)
            await self._sleep(now, may_write)

    async def _step_utterance(self, now: float, may_write: bool) -> None:
        """Advance the utterance. Runs in each round, for each chunk, so it must be fast."""
        if self._delivering is None:
            return
        if not may_write:
            self._delivering.machine.sign(now)
        await self._delivering.step(now, may_write=may_write)
        if self._delivering.done:
            await self._end_delivering()

    def _take(self, reports: Feed, now: float) -> None:
        while (message := self._events.pop()) is not None:
            stored = read_message(message, max_text_chars=self._context.max_text_chars)
            if isinstance(stored, StoredCancel):
                self._session.cancel(stored)
            else:
                self._session.request(stored, now - max(0.0, time.time() - stored.stored_at_s))
        while (message := reports.pop()) is not None:
            self._take_report(message, now)

    def _take_report(self, message: Stored, now: float) -> None:
        state = self.reports.state_of(message)
        if state is None:
            log.error("a stored report cannot be read", subject=message.subject)
            return
        if self._session.shows_another_owner(state.report, self.epoch):
            self.leave("another owner has taken the session")
        self._session.report(message.subject.rpartition(".")[2], state, now)

    def leave(self, reason: str) -> None:
        """Stop at once, write nothing more and release the session. `reason` is logged."""
        if self._leave_reason is None:
            self._leave_reason = reason
            log.warning("session left", reason=reason)
            self.wake()

    def _finished(self, now: float) -> bool:
        if self._drain_until is not None and (self._delivering is None or now >= self._drain_until):
            return True
        if self._delivering is not None or not self._session.idle or not self._events.current:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = now
        # Held wake-ups do not keep the session: one that can never be acked would keep it for ever. Each gets a nak.
        # The bridge that receives it next asks the stream what is left to do.
        return now >= self._idle_since + self._context.sink.idle_s

    def _next_full_round(self, now: float) -> float:
        """When the next full round is due if no event comes before (monotonic seconds)."""
        times = [self._session.next_time(now)]
        if self._delivering is not None or self._links or self._idle_since is not None:
            times.append(now + LINKS_LOOKED_AT_S)
        if self._drain_until is not None:
            times.append(self._drain_until)
        return min((t for t in times if t is not None), default=float("inf"))

    async def _sleep(self, now: float, may_write: bool) -> None:
        at = self._full_round_at
        if self._delivering is not None:
            at = min(at, self._delivering.machine.next_time() or at, at if may_write else now + GATE_TICK_S)
        await self._wake_event.wait(at)

    # ---- effects of the session's machine

    async def _do(self, effect: Effect, now: float) -> None:
        match effect:
            case Begin(entry):
                await self._begin(entry, now)
            case Stop(entry):
                if self._delivering is not None and self._delivering.entry is entry:
                    self._delivering.machine.cancel()
                elif not entry.final:
                    self._housekeeping.do(End(entry, "cancelled"))
            case End(entry):
                if self._delivering is not None and self._delivering.entry is entry:
                    await self._end_delivering()
                self._housekeeping.do(effect)
            case _:
                self._housekeeping.do(effect)

    async def _begin(self, entry: Entry, now: float) -> None:
        if self._drain_until is not None or self._delivering is not None or entry.stored.request is None:
            self._session.begin_declined(entry)
            return
        before = entry.report
        utterance = UtteranceDelivery(
            request_seq=entry.sequence,
            rules=self._context.sink.rules,
            now=now,
            delivered=entry.resumes.delivered_chunks if entry.resumes is not None else 0,
            must_fence=entry.must_fence(taken_over=self._ownership.taken_over),
            asked_at=entry.asked_at,
        )
        self._delivering = UtteranceRunner(self, entry, utterance, self._context.counts, self._context.kind)
        self._context.announce("begins", entry, before)
        await self._delivering.open()

    async def _end_delivering(self) -> None:
        if self._delivering is not None:
            runner, self._delivering = self._delivering, None
            await runner.close()
            if self._context.sink.link_per_utterance:
                await self._links.close()
            self.wake()

    # ---- release

    async def _shut_down(self) -> None:
        self._wake_event.close()
        if self._delivering is not None:
            runner, self._delivering = self._delivering, None
            if self._leave_reason is None:
                try:
                    await runner.checkpoint()
                except NodeUnavailable:
                    log.warning("the last checkpoint was not written; the next owner may repeat some chunks")
            await runner.close()
        await self._links.close()
        if self._tasks and self._leave_reason is None:
            await asyncio.wait(self._tasks, timeout=FINISH_S)
        await tasks.end(*self._tasks)

    async def _release(self) -> None:
        await self.wakeups.nak(0.0 if self._leave_reason is None else NAK_DELAY_S)
        try:
            await self._context.owners.release(self._ownership)
        except NodeUnavailable:
            log.warning("the session is not released yet; until then no other bridge can take it")
