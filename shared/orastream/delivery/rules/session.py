"""The state machine of one session: which request is delivered, ended or tidied up next. Pure.

The runner passes in every stored request and cancel of the session, of both transports, and their reports. `poll`
returns which request to begin, which to end (cancelled, expired, stuck) and which to tidy up. Decisions depend on
stream sequences, so late and repeated events do no harm. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orastream.contract.messages import FINAL, ReportError, Status
from orastream.contract.report_state import ReportState, Verdict
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules import session_errors
from orastream.delivery.rules import session_outcomes as outcomes
from orastream.delivery.rules.cancels import Cancels
from orastream.delivery.rules.entry import Entry, Stage
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.session_effects import (
    Abandon,
    Begin,
    CheckStored,
    DropCancel,
    Effect,
    End,
    Inspect,
    Stop,
    Tidy,
)
from orastream.delivery.rules.session_outcomes import Purpose, ReportWritten, SessionOutcome

TIDY_AFTER_S = 5.0
"""A final report that another process wrote: how long that process has to tidy up before this owner does."""
TIDY_AGAIN_S = 1.0
REPORT_LIFE_S = 3600.0
"""How long the machine remembers the last report under a request id."""


@dataclass(slots=True)
class Session:
    """The machine of one session, for the bridge of one transport. `epoch` is the epoch of this ownership."""

    transport: Literal["websocket", "http"]
    epoch: int
    lifetime: Lifetime
    entries: dict[int, Entry] = field(default_factory=dict)
    """The stored requests of the session, by stream sequence, in order."""
    delivering: Entry | None = None
    """The request that this owner delivers, from `Begin` until `delivery_ended`."""
    _cancels: Cancels = field(default_factory=Cancels)
    _reports: dict[str, tuple[ReportState, float]] = field(default_factory=dict)
    """By token, each with the time it was received, oldest first."""
    _queue: list[Effect] = field(default_factory=list)
    """Effects that the next `poll` returns."""
    _done: set[int] = field(default_factory=set)
    """Sequences of closed requests and deleted cancels, until a read of the feed has shown that they are not stored."""

    # ---- events

    def request(self, stored: StoredRequest, asked_at: float) -> Entry:
        """Add a stored request and return its entry. Requests may come in any order and repeatedly."""
        if (entry := self.entries.get(stored.sequence)) is None:
            entry = self.entries[stored.sequence] = Entry(stored, asked_at)
            self.entries = dict(sorted(self.entries.items()))
            if (known := self._reports.get(stored.token)) is not None:
                self._apply_report(entry, *known)
            for cancel in self._cancels:
                entry.cover(cancel)
        return entry

    def cancel(self, stored: StoredCancel) -> None:
        """Add a stored cancel. An unreadable one cancels nothing."""
        self._cancels.add(stored)
        for entry in self.entries.values():
            entry.cover(stored)

    def report(self, token: str, state: ReportState, now: float) -> None:
        """Add a stored report of the session. Revisions that are not newer than the known one are ignored.

        If it shows that another owner delivers, this owner leaves the session.
        """
        if (known := self._reports.get(token)) is not None and known[0].revision >= state.revision:
            return
        self._reports.pop(token, None)
        self._reports[token] = (state, now)
        for entry in self.entries.values():
            if entry.stored.token == token:
                self._apply_report(entry, state, now)

    def requests_lost(self, now: float) -> None:
        """The stream of requests was lost, and created again. Those that are not claimed are looked for soon."""
        for entry in self.entries.values():
            if entry.report is None:
                entry.lost_at = now

    def delivery_ended(self, entry: Entry) -> None:
        """The delivery that `Begin` started has ended. If its report is not final, `Begin` is returned again."""
        self.delivering = None
        if entry.stage is Stage.DELIVERING:
            entry.stage = Stage.WAITING

    def apply(self, outcome: SessionOutcome, now: float) -> None:
        """Take the outcome of an effect, or of a report that the running delivery wrote."""
        match outcome:
            case ReportWritten(entry, purpose, verdict, state):
                self.report(entry.stored.token, state, now)
                if verdict is Verdict.SUPERSEDED and self._mine(entry):
                    self.lifetime.leave("another owner writes the report")
                elif outcome.ended_here:
                    self._queue.append(Tidy(entry, just_written=True))
                elif purpose is Purpose.END and not state.report.final:
                    entry.stage = Stage.WAITING  # claimed meanwhile, or the id is another request's
            case outcomes.Tidied(entry):
                entry.stage = Stage.CLOSED
            case outcomes.NotStored(entry):
                self._not_stored(entry)
            case outcomes.TidyFailed(entry):
                entry.tidy_at = now + TIDY_AGAIN_S
            case outcomes.Inspected(entry, lives, audio_ended):
                if entry.inspected(now, lives=lives, audio_ended=audio_ended):
                    self._end(entry, "failed", session_errors.not_delivered(entry.transport))
            case outcomes.CancelDropped(sequence):
                self._cancels.dropped(sequence)
                self._done.add(sequence)
            case outcomes.CancelKept(sequence):
                self._cancels.kept(sequence, now)

    def forget(self, now: float, verified: int) -> None:
        """Remove closed requests and old reports. `verified`: the feed has read everything stored up to it."""
        for sequence in [sequence for sequence, entry in self.entries.items() if entry.closed]:
            del self.entries[sequence]
            self._done.add(sequence)
        self._done = {sequence for sequence in self._done if sequence > verified}
        while self._reports and now > next(iter(self._reports.values()))[1] + REPORT_LIFE_S:
            del self._reports[next(iter(self._reports))]

    def may_ack(self, sequence: int, verified: int) -> bool:
        """Whether the wake-up for the message stored at `sequence` may be acked: this owner has nothing to do for it.

        That is true for a request that is closed or that others end, for a deleted cancel, and for a message that is
        not stored any more: the feed has read every stored message up to `verified` and did not return this one.
        If it were acked earlier and this process died, the request would be lost.
        """
        if (entry := self.entries.get(sequence)) is not None:
            return entry.closed or self._ended_by_others(entry)
        if sequence in self._cancels:
            return False
        return sequence in self._done or sequence <= verified

    # ---- what to do next

    def poll(self, now: float) -> list[Effect]:
        """Return the effects to carry out now, none after `lifetime.leave`. Those to be retried come again later."""
        if self.lifetime.leave_reason is not None:
            return []
        for entry in self.entries.values():
            self._judge(entry, now)
        self._begin_next(now)
        if (doubtful := self._doubtful()) is not None and now >= doubtful.check_at:
            doubtful.checked_at, doubtful.lost_at = now, None
            self._queue.append(CheckStored(doubtful))
        effects = [*self._queue, *map(DropCancel, self._cancels.due(now, self._lowest_open()))]
        self._queue.clear()
        return effects

    def next_time(self, now: float) -> float | None:
        """When to call `poll` again if no event comes before (monotonic seconds), or None."""
        own = (self._cancels.next_time(self._lowest_open()), self.lifetime.next_time())
        times = [at for at in own if at is not None]
        for entry in (entry for entry in self.entries.values() if not entry.closed):
            if entry.tidy_at is not None:
                times.append(entry.tidy_at)
            elif self._may_expire(entry):
                times.append(entry.expires_at)
        if (doubtful := self._doubtful()) is not None:
            times.append(doubtful.check_at)
        if (head := self._head()) is not None and self._watches(head):
            times.append(head.inspect_at)
        return min((max(t, now) for t in times), default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do for this session."""
        return not self._cancels and self._lowest_open() is None

    def over(self, now: float, *, current: bool) -> bool:
        """Whether to release the session now. `current`: the feed has returned every stored request and cancel.

        Wake-ups that are not acked do not keep it: one that can never be acked would keep it for ever.
        """
        return self.lifetime.over(now, delivering=self.delivering is not None, work=not self.idle or not current)

    # ---- inside

    def _apply_report(self, entry: Entry, state: ReportState, received_at: float) -> None:
        """Apply a report to a request. Leave if an owner with a higher epoch delivers this request of our transport."""
        entry.reported(state.report, state.revision, received_at)
        # The writer of a final report may have ended.
        if state.report.epoch > self.epoch and not entry.final and self._mine(entry):
            self.lifetime.leave("another owner has taken the session")

    def _mine(self, entry: Entry) -> bool:
        return entry.transport == self.transport

    def _ended_by_others(self, entry: Entry) -> bool:
        """Whether another process ends and tidies it: the other kind of bridge or, for a claimed `none`, synth.

        A bridge ends a `none` that no synth claims, as perhaps no synth runs. It tidies what it has ended (epoch > 0).
        """
        if entry.transport != "none":
            return entry.transport not in (None, self.transport)
        return entry.report is not None and not entry.duplicate and entry.report.epoch == 0

    def _judge(self, entry: Entry, now: float) -> None:
        if entry.closed:
            return
        if entry.final and entry.stage is Stage.DELIVERING:
            self._stop(entry)  # another process ended it
        if entry.report is not None and entry.report.status in FINAL:
            self._tidy_later(entry, now)
            return
        if entry.duplicate or entry.stage is Stage.ENDING:
            return
        if entry.cancelled and not self._ended_by_others(entry):
            if entry.stage is Stage.DELIVERING:
                self._stop(entry)
            else:
                self._end(entry, "cancelled")
        elif self._may_expire(entry) and now >= entry.expires_at:
            self._end(entry, "expired", session_errors.not_claimed(entry.stored.ttl_s), unclaimed=True)

    def _not_stored(self, entry: Entry) -> None:
        if self._may_expire(entry):
            self._end(entry, "failed", session_errors.deleted(), unclaimed=True)
        elif entry.may_be_gone:
            entry.stage = Stage.CLOSED  # another process ends it, or has

    def _may_expire(self, entry: Entry) -> bool:
        return entry.report is None and entry.stage is not Stage.ENDING and not self._ended_by_others(entry)

    def _tidy_later(self, entry: Entry, now: float) -> None:
        assert entry.report is not None, "called for a final report"
        if self._ended_by_others(entry) and not entry.duplicate and entry.report.epoch != self.epoch:
            entry.stage = Stage.CLOSED  # the writer of its final report tidies: another bridge, or synth (`none`)
            return
        if entry.tidy_at is None:
            entry.tidy_at = now + TIDY_AFTER_S
        if now >= entry.tidy_at:
            entry.tidy_at = now + TIDY_AFTER_S
            self._queue.append(Tidy(entry))

    def _end(self, entry: Entry, status: Status, error: ReportError | None = None, *, unclaimed: bool = False) -> None:
        if entry.stage is Stage.ENDING or entry.final:
            return
        if self.delivering is entry:
            self.delivering = None
            self._queue.append(Abandon(entry))
        entry.stage = Stage.ENDING
        unclaimed = unclaimed or entry.transport in (None, "none")
        revision = 0 if unclaimed else entry.revision
        self._queue.append(End(entry, status, error, revision, exact=unclaimed or not self._mine(entry)))

    def _stop(self, entry: Entry) -> None:
        entry.stage = Stage.ENDING
        self._queue.append(Stop(entry))

    def _head(self) -> Entry | None:
        """The first request that is not final; all later ones wait for it."""
        return next((e for e in self.entries.values() if not e.final and e.transport != "none"), None)

    def _begin_next(self, now: float) -> None:
        if (head := self._head()) is None:
            return
        head.first_since = now if head.first_since is None else head.first_since
        free = self.delivering is None and not self.lifetime.draining
        if self._mine(head) and free and head.stored.request is not None and head.stage is Stage.WAITING:
            head.stage, self.delivering = Stage.DELIVERING, head
            self._queue.append(Begin(head))
        elif self._watches(head) and now >= head.inspect_at:
            if head.cancelled:
                self._end(head, "cancelled")
            else:
                head.inspect(now)
                self._queue.append(Inspect(head))

    def _watches(self, head: Entry) -> bool:
        """Whether to check that another bridge delivers it. Not while it is unclaimed and may become ours."""
        known = head.report is not None or head.transport is not None
        return known and not self._mine(head) and head.stage is not Stage.ENDING and not head.inspecting

    def _doubtful(self) -> Entry | None:
        """The request to check for deletion next: the first that is not final, else the first that may be deleted."""
        candidates = self._head(), *self.entries.values()
        return next((entry for entry in candidates if entry is not None and entry.may_be_gone), None)

    def _lowest_open(self) -> int | None:
        """The sequence of the first request that is not closed, or None."""
        return next((s for s, entry in self.entries.items() if not entry.closed), None)
