"""Runs one owned session while it has work: passes the feeds to the machines and carries out their effects.

The loop runs after each event (`wake`, `_nudge`) and does all work that needs no waiting. Work that waits runs in
background tasks, whose outcomes the loop passes to the machines. It ends when the session may rest
(`owned_session.py`), when its ownership is lost, or at a drain.
"""

# length: one loop; its events, outcomes and effects use the same state

from __future__ import annotations

import asyncio

from orastream.base import logger
from orastream.contract.errors import OrastreamError
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.play_time import PlayTimes
from orastream.delivery.rules.session_effects import (
    Abandon,
    AnnounceCancel,
    Begin,
    Effect,
    EndFound,
    EndPlayed,
    Stop,
    Tidy,
    WriteHeard,
)
from orastream.delivery.rules.session_outcomes import Purpose, ReportWritten
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.cancel_announcer import CancelAnnouncer
from orastream.delivery.runtime.context import BridgeContext, SessionContext
from orastream.delivery.runtime.end_frames import EndFrames
from orastream.delivery.runtime.housekeeping import Housekeeping
from orastream.delivery.runtime.outcomes import DeliveryOutcome, Outcome, OwnershipRead
from orastream.delivery.runtime.owner_state import OwnerState
from orastream.delivery.runtime.session_feeds import SessionFeeds
from orastream.delivery.runtime.utterance_runner import UtteranceRunner
from orastream.jetstream.pull_consumer import Delivery
from orastream.jetstream.report_store import ReportStore

FINISH_S = 1.0
CLOCKS_S = 0.5
"""How much the server's clock, by which a request has its time, may differ from the estimate."""
LOOK_S = 1.0
"""How soon a session that may rest, but for a task that runs, looks again."""
TAKEN = "another owner has taken the session while the lease had run out"

log = logger.named(__name__)


class SessionRunner:
    """The owner's loop for one session. `await run()` returns when the session may rest or is over."""

    def __init__(self, context: BridgeContext, state: OwnerState) -> None:
        self._context = context
        self._ownership = ownership = state.ownership
        self._loop = loop = asyncio.get_running_loop()  # kept: each get_running_loop is a system call (getpid)
        mark, session = context.mark, ownership.session
        self._session = state.machine(context, mark.at + CLOCKS_S)
        self._wakeups = state.wakeups
        self._reports = reports = ReportStore(
            context.js,
            context.counts.used,
            lambda sequence: mark.stored(sequence, loop.time()),
            context.deletions,
        )
        self._feeds = SessionFeeds(context, session, self._session, reports, self.wake)
        self._permission = state.permission
        self._wake_event = state.wake_event
        self._nudge = self._wake_event.set
        """Runs a round of the loop for the utterance only: audio has come, or the link has room."""
        self._full_round = True
        self._full_round_at = 0.0
        self._is_over = True
        self._deliveries = state.deliveries
        self._housekeeping = Housekeeping(
            context.js, context.owners, reports, ownership.epoch, session, context.sink.transport
        )
        self._announcer = CancelAnnouncer(context.sink, reports, ownership.epoch, session, state.listener)
        self._listener, self._heard, self._progress = state.listener, state.heard, state.progress
        for delivery in self._wakeups:
            self._feeds.woken(delivery, loop.time())

    # ---- calls from the bridge and from the feeds

    def wake(self) -> None:
        """Run a full round of the loop."""
        self._full_round = True
        self._wake_event.set()

    def woken(self, delivery: Delivery) -> None:
        """A wake-up of this session has come, and is held."""
        if not self._session.knows(delivery.sequence):  # else it is acked when the request ends
            self.wake()
        self._feeds.woken(delivery, self._loop.time())

    def requests_lost(self) -> None:
        """The stream of requests was lost: soon look which of this session's are still stored."""
        self._session.requests_lost(self._loop.time())
        self.wake()

    # ---- the loop

    async def run(self) -> bool:
        """Serve the session until it may rest or is over. Returns whether it is over. Cancel-safe."""
        async with self._feeds, asyncio.TaskGroup() as group:
            background = Background(group, self._nudge)
            if self._heard is not None and self._context.sink.transport == "websocket":
                self._heard.recover(background, self._session.is_open, self.wake)
            try:
                await self._rounds(background)
            finally:
                await self._shut_down(background)
        return self._is_over

    async def _rounds(self, background: Background) -> None:
        session, feeds, deliveries = self._session, self._feeds, self._deliveries
        ends = EndFrames(self._context.js, deliveries.links, background, session.play, self._lease_granted)
        parts = SessionContext(
            self._context,
            self._ownership.epoch,
            self._reports,
            deliveries.audio,
            deliveries.links,
            None,
            background,
            self._nudge,
            lambda: feeds.current and self._lease_granted(),
            ends,
            self._listener,
            session.heard,
            self._progress,
        )
        while True:
            self._wake_event.clear()
            now = self._loop.time()
            await self._take_outcomes(background)
            if session.lifetime.leave_reason is not None:
                break
            if self._full_round or now >= self._full_round_at or feeds.unread or deliveries.running is None:
                self._full_round = False
                # Before the cancels are read: one that is read while v1 counts is never announced.
                session.oraserver_needs_cancels(self._context.sink.record.announces_cancels)
                feeds.read(now, deliveries.running.entry if deliveries.running is not None else None)
                # Read `verified` before the awaits below: meanwhile the feed may raise it past messages that the
                # machine has not been given yet, and their wake-ups must not be acked.
                verified = feeds.verified
                if feeds.were_current:
                    await self._poll(parts, now)
                session.forget(verified)
                await self._wakeups.ack_done(session, verified)
                if self._wakeups.late(session, now, verified):
                    feeds.look()
                await deliveries.links.close_idle(now, deliveries.phone)
                if session.over(now, current=feeds.current):
                    break
                if not session.lifetime.has_work:
                    deliveries.audio.idle()
                    if session.lifetime.rests(now, held=len(self._wakeups), running=not background.empty):
                        self._is_over = False
                        break
                self._full_round_at = self._next_full_round(now)
            allowed = feeds.current and self._may_write(background, now)
            ends.send_late()
            if (runner := deliveries.running) is not None:
                await self._step(runner, now, allowed)
                self._write_begun(background)
                if runner.falls_back:
                    await self._fall_back(runner, parts)
                    continue
            await self._sleep(now, allowed, end_late=ends.late)

    async def _step(self, runner: UtteranceRunner, now: float, may_write: bool) -> None:
        """Advance the utterance. Runs in each round, for each chunk, so it must be fast."""
        if not may_write:
            runner.machine.restart_stall_timer(now)
            if now >= self._permission.term.over_at:
                runner.machine.lease_over()
        await runner.step(now, may_write=may_write)
        if self._session.play is not None:
            self._note_play(runner, self._session.play)

    def _write_begun(self, background: Background) -> None:
        """Write the record of an utterance that has begun: NATS gets it in one write with the report."""
        if self._heard is not None and self._session.heard is not None:
            for utterance in self._session.heard.take_begun():
                self._heard.write(utterance, background)

    async def _poll(self, parts: SessionContext, now: float) -> None:
        if self._deliveries.running is not None:
            self._deliveries.running.note_sent()  # a cancel asks how much of it was sent
        for effect in self._session.poll(now):
            await self._carry_out(effect, parts, now)

    def _note_play(self, runner: UtteranceRunner, play: PlayTimes) -> None:
        if runner.machine.has_written:
            play.written(runner.entry.sequence, runner.entry.stored.token)
        if runner.plays is not None:
            self._session.played(runner.plays)
            runner.plays = None
            self.wake()

    def _lease_granted(self) -> bool:
        return self._permission.granted(self._loop.time())

    def _may_write(self, background: Background, now: float) -> bool:
        """Whether the lease allows writes now. After a lapse, starts to read the owner's record."""
        if (lapse := self._permission.next_check()) is not None:
            background.start(self._context.owners.check(self._ownership, lapse))
        return self._permission.granted(now)

    def _next_full_round(self, now: float) -> float:
        """When the next full round is due if no event comes before (monotonic seconds)."""
        # Before both feeds are current nothing is polled: a time that has passed would make the loop run without end.
        own = self._session.next_time(now) if self._feeds.were_current else self._session.lifetime.next_time()
        links = self._deliveries.links.next_time(self._deliveries.phone)
        times = [at for at in (own, links, self._wakeups.next_time()) if at is not None]
        if (rest_at := self._session.lifetime.rest_time()) is not None:
            times.append(max(rest_at, now + LOOK_S))  # a task that ends without an outcome wakes nobody
        return min(times, default=float("inf"))

    async def _sleep(self, now: float, may_write: bool, *, end_late: bool) -> None:
        at = min(self._full_round_at, self._permission.next_time(now)) if end_late else self._full_round_at
        if (runner := self._deliveries.running) is not None:
            look_at = self._permission.term.over_at if may_write else self._permission.next_time(now)
            at = min(at, runner.machine.next_time() or at, look_at)
        await self._wake_event.wait(at)

    # ---- outcomes of background tasks

    async def _take_outcomes(self, background: Background) -> None:
        self._apply_all(background)
        if (runner := self._deliveries.running) is not None and runner.done:
            runner.note_sent()
            audio_s = runner.machine.audio_s
            entry = await self._end_delivery()
            self._session.delivery_ended(entry, audio_s)

    def _apply_all(self, background: Background) -> None:
        for outcome in background.take():
            self._apply(outcome, self._loop.time())

    def _apply(self, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, OwnershipRead):
            self._permission.answered(outcome.lapse, ours=outcome.ours)
            if outcome.ours is False:
                self._session.lifetime.leave(TAKEN)
            return
        if not isinstance(outcome, DeliveryOutcome):
            self._session.apply(outcome, now)
            self._full_round |= not (isinstance(outcome, ReportWritten) and outcome.purpose is Purpose.CHECKPOINT)
        if isinstance(outcome, ReportWritten) and outcome.ended_here:
            self._context.counts.ended(outcome.state.report.status)
            self._context.announce("ended", outcome.entry, outcome.state.report)
        runner = self._deliveries.running
        if isinstance(outcome, DeliveryOutcome | ReportWritten) and runner and runner.entry is outcome.entry:
            runner.apply(outcome, now)

    # ---- effects of the session's machine

    async def _carry_out(self, effect: Effect, parts: SessionContext, now: float) -> None:
        match effect:
            case Begin(entry):
                await self._deliveries.begin(entry, parts, now, taken_over=self._ownership.taken_over)
            case Stop(entry) | Abandon(entry):
                runner = self._deliveries.running
                if runner is None or runner.entry is not entry:
                    return  # it has ended meanwhile
                if isinstance(effect, Stop):
                    runner.machine.cancel()
                else:
                    await self._end_delivery()
            case AnnounceCancel(cancel):
                parts.background.start(self._announcer.announce(cancel))
            case EndPlayed(end):
                parts.ends.played(end, self._deliveries.running_to(end.speech.phone_id))
            case EndFound(entry, status):
                parts.ends.find(entry, status, with_rate=self._context.sink.metadata_rate)
            case WriteHeard(utterance):
                if self._heard is not None:
                    self._heard.write(utterance, parts.background)
            case _:
                parts.background.start(self._housekeeping.carry_out(effect))

    async def _fall_back(self, runner: UtteranceRunner, parts: SessionContext) -> None:
        """Deliver the whole utterance over the fallback."""
        await runner.close()
        self._apply_all(parts.background)  # to the runner that is closed
        await self._deliveries.fall_back(runner.entry, parts, self._loop.time())

    async def _end_delivery(self) -> Entry:
        self._full_round = True
        return await self._deliveries.end()

    # ---- the end

    async def _shut_down(self, background: Background) -> None:
        left = self._session.lifetime.leave_reason
        if left is not None:
            log.warning("session left", reason=left)
        self._wake_event.close()
        self._apply_all(background)  # what was confirmed until now is in the checkpoint
        runner, self._deliveries.running = self._deliveries.running, None
        try:
            if runner is not None:
                runner.cut()
                if left is None:
                    await runner.checkpoint()
        except OrastreamError as exc:
            log.warning("no last checkpoint; the next owner may repeat some chunks", error=str(exc))
        finally:
            if runner is not None:
                await runner.close()
            await self._deliveries.rest()
        if left is None and self._is_over:  # at a rest nothing is left; a cancel that comes now is for the next runner
            await background.finish(FINISH_S, self._context.js.calls.end_at)
            self._apply_all(background)
            for effect in self._session.poll(self._loop.time()):
                if isinstance(effect, Tidy):  # the last final report is tidied here, not by the next owner
                    background.start(self._housekeeping.carry_out(effect))
                elif isinstance(effect, WriteHeard) and self._heard is not None:
                    self._heard.write(effect.utterance, background)
            await background.finish(FINISH_S, self._context.js.calls.end_at)
        await background.end()
        self._apply_all(background)  # a final report that was written last is counted too
