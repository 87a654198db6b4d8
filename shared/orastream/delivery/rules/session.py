"""The state machine of one session: which request is delivered, ended or tidied up next. Pure.

The runner passes in every stored request and cancel of the session, of both transports, and their reports. `poll`
returns which request to begin, which to end (cancelled, expired, stuck) and which to tidy up. Decisions depend on
stream sequences, so late and repeated events do no harm. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orastream.contract.messages import FINAL, Report, ReportError, Status
from orastream.contract.report_state import ReportState
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_effects import Begin, CheckStored, DropCancel, Effect, End, Inspect, Stop, Tidy

EXPIRY_GRACE_S = 5.0
"""An unclaimed request expires this long after its ttl, so that a claim that is being written still counts."""
STUCK_S = 60.0
"""A request of another transport fails if its audio has ended and its report has not changed for this long."""
INSPECT_EVERY_S = 10.0
TIDY_AFTER_S = 5.0
TIDY_AGAIN_S = 1.0
CHECK_STORED_S = 120.0
"""After this long without a report, look whether a request is still stored. Else one that was deleted would block."""
RETRY_DROP_S = 1.0
REPORT_LIFE_S = 3600.0
"""How long the machine remembers the last report under a request id."""


@dataclass(slots=True)
class Session:
    """The machine of one session, for the bridge of one transport."""

    transport: Literal["websocket", "http"]
    entries: dict[int, Entry] = field(default_factory=dict)
    _cancels: dict[int, StoredCancel] = field(default_factory=dict)
    _dropping: dict[int, float] = field(default_factory=dict)
    _reports: dict[str, tuple[ReportState, float]] = field(default_factory=dict)
    """By token, each with the time it was received, oldest first."""
    _queue: list[Effect] = field(default_factory=list)
    _settled: set[int] = field(default_factory=set)
    """Sequences of closed requests and deleted cancels, until a read of the feed has shown that they are not stored."""

    # ---- events

    def request(self, stored: StoredRequest, asked_at: float) -> Entry:
        """Add a stored request and return its entry. Requests may come in any order and repeatedly."""
        entry = self.entries.get(stored.sequence)
        if entry is None:
            entry = self.entries[stored.sequence] = Entry(stored, asked_at)
            self.entries = dict(sorted(self.entries.items()))
            known = self._reports.get(stored.token)
            if known is not None:
                state, received_at = known
                entry.heard(state.report, state.revision, received_at)
            for cancel in self._cancels.values():
                entry.cover(cancel)
        return entry

    def cancel(self, stored: StoredCancel) -> None:
        """Add a stored cancel. An unreadable one cancels nothing."""
        self._cancels[stored.sequence] = stored
        for entry in self.entries.values():
            entry.cover(stored)

    def report(self, token: str, state: ReportState, now: float) -> None:
        """Add a stored report of the session. Revisions that are not newer than the known one are ignored."""
        known = self._reports.get(token)
        if known is not None and known[0].revision >= state.revision:
            return
        self._reports.pop(token, None)
        self._reports[token] = (state, now)
        for entry in self.entries.values():
            if entry.stored.token == token:
                entry.heard(state.report, state.revision, now)

    def shows_another_owner(self, report: Report, epoch: int) -> bool:
        """Whether a report shows that an owner with a higher epoch delivers a request of this transport.

        A final report does not show it: its writer may have ended.
        """
        entry = self.entries.get(report.request_seq)
        return report.epoch > epoch and not report.final and entry is not None and self._mine(entry)

    def report_written(self, entry: Entry, state: ReportState, now: float) -> None:
        """A final report of this owner is stored. It applies at once, before the reports feed returns it."""
        entry.heard(state.report, state.revision, now)

    def end_refused(self, entry: Entry) -> None:
        """`End` wrote no final report and none is stored: the request was claimed meanwhile, or its id is another's."""
        entry.ending = entry.began = False

    def begin_declined(self, entry: Entry) -> None:
        """`Begin` was not carried out: another delivery is running, or the session is draining."""
        entry.began = False

    def tidy_failed(self, entry: Entry, now: float) -> None:
        """NATS did not answer: return `Tidy` again after TIDY_AGAIN_S seconds."""
        entry.tidy_at = now + TIDY_AGAIN_S

    def tidied(self, entry: Entry) -> None:
        """The final report is stored and sent to `replyTo`, and the request is not stored any more."""
        entry.closed = True

    def stuck(self, entry: Entry) -> None:
        """The audio of this request has ended and no bridge delivers it: end it as failed."""
        error = ReportError.of("internal", f"no {entry.transport} bridge delivered it; is that service running?")
        self._end(entry, "failed", error)

    def cancel_dropped(self, sequence: int) -> None:
        """The cancel at `sequence` is deleted."""
        self._cancels.pop(sequence, None)
        self._dropping.pop(sequence, None)
        self._settled.add(sequence)

    def cancel_kept(self, sequence: int, now: float) -> None:
        """The cancel was not deleted: return `DropCancel` again after RETRY_DROP_S seconds."""
        self._dropping[sequence] = now + RETRY_DROP_S

    def forget(self, now: float, verified: int) -> None:
        """Remove closed requests and old reports. `verified`: the feed has read everything stored up to it."""
        closed = [sequence for sequence, entry in self.entries.items() if entry.closed]
        for sequence in closed:
            del self.entries[sequence]
        self._settled.update(closed)
        if self._settled:
            self._settled = {sequence for sequence in self._settled if sequence > verified}
        while self._reports and now > next(iter(self._reports.values()))[1] + REPORT_LIFE_S:
            del self._reports[next(iter(self._reports))]

    # ---- wake-ups

    def may_ack(self, sequence: int, verified: int) -> bool:
        """Whether the wake-up for the message stored at `sequence` may be acked: this owner has nothing to do for it.

        That is true for a request that is closed or that others end, for a deleted cancel, and for a message that is
        not stored any more: the feed has read every stored message up to `verified` and did not return this one.
        If it were acked earlier and this process died, the request would be lost.
        """
        entry = self.entries.get(sequence)
        if entry is not None:
            return entry.closed or self._ended_by_others(entry)
        if sequence in self._cancels:
            return False
        return sequence in self._settled or sequence <= verified

    # ---- what to do next

    def poll(self, now: float) -> list[Effect]:
        """Return the effects to carry out now. Each is returned once; those that are retried, again after a wait."""
        for entry in self.entries.values():
            self._judge(entry, now)
        self._begin_next(now)
        self._drop_cancels(now)
        effects, self._queue = self._queue, []
        return effects

    def next_time(self, now: float) -> float | None:
        """When to call `poll` again if no event comes before (monotonic seconds), or None."""
        times = [at for sequence, at in self._dropping.items() if at != float("inf") and self._droppable(sequence)]
        for entry in self.entries.values():
            if entry.closed:
                continue
            if entry.tidy_at is not None:
                times.append(entry.tidy_at)
            elif self._may_expire(entry):
                times.append(_expires_at(entry))
            if self._may_be_gone(entry):
                times.append(_check_at(entry))
        head = self._head()
        if head is not None and self._delivered_by_others(head):
            times.append(_inspect_at(head))
        return min((max(t, now) for t in times), default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do for this session."""
        return not self._cancels and all(entry.closed for entry in self.entries.values())

    # ---- inside

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
        if entry.final and entry.began and not entry.ending:
            entry.ending = True  # if this owner ended it, its delivery has stopped and `Stop` does nothing
            self._queue.append(Stop(entry))
        if entry.report is not None and entry.report.status in FINAL:
            self._tidy_later(entry, now)
            return
        if self._may_be_gone(entry) and now >= _check_at(entry):
            entry.checked_at = now
            self._queue.append(CheckStored(entry))
        if entry.duplicate or entry.ending:
            return
        if entry.cancelled and not self._ended_by_others(entry):
            if entry.began:
                entry.ending = True
                self._queue.append(Stop(entry))
            else:
                self._end(entry, "cancelled")
        elif self._may_expire(entry) and now >= _expires_at(entry):
            ttl = f"{entry.stored.ttl_s:g}"
            message = f"not claimed within ttlSeconds ({ttl}); is synth running and has it free slots?"
            self._end(entry, "expired", ReportError.of("expired", message))

    def _may_be_gone(self, entry: Entry) -> bool:
        """Whether it may have been deleted unnoticed: it is neither being delivered or ended here, nor final."""
        return not entry.began and not entry.ending and (entry.report is None or entry.report.status not in FINAL)

    def _may_expire(self, entry: Entry) -> bool:
        return entry.report is None and not entry.ending and not self._ended_by_others(entry)

    def _tidy_later(self, entry: Entry, now: float) -> None:
        if self._ended_by_others(entry) and not entry.duplicate:
            entry.closed = True  # the writer of its final report tidies: another bridge, or synth (`none`)
            return
        if entry.tidy_at is None:
            entry.tidy_at = now + TIDY_AFTER_S
        if now >= entry.tidy_at:
            entry.tidy_at = now + TIDY_AFTER_S
            self._queue.append(Tidy(entry))

    def _end(self, entry: Entry, status: Status, error: ReportError | None = None) -> None:
        if not entry.ending and not entry.final:
            entry.ending = True
            self._queue.append(End(entry, status, error))

    def _head(self) -> Entry | None:
        """The first request that is not final; all later ones wait for it."""
        return next((e for e in self.entries.values() if not e.final and e.transport != "none"), None)

    def _begin_next(self, now: float) -> None:
        head = self._head()
        if head is None:
            return
        if self._mine(head):
            if not head.began and not head.ending:
                head.began = True
                self._queue.append(Begin(head))
        elif self._delivered_by_others(head) and now >= _inspect_at(head):
            head.inspected_at = now
            if head.cancelled:
                self._end(head, "cancelled")
            else:
                self._queue.append(Inspect(head))

    def _delivered_by_others(self, head: Entry) -> bool:
        """Whether another bridge delivers it. False while unclaimed without a transport: it may become ours."""
        return not self._mine(head) and not head.ending and (head.report is not None or head.transport is not None)

    def _drop_cancels(self, now: float) -> None:
        for sequence in self._cancels:
            if now >= self._dropping.get(sequence, 0.0) and self._droppable(sequence):
                self._dropping[sequence] = float("inf")
                self._queue.append(DropCancel(sequence))

    def _droppable(self, sequence: int) -> bool:
        return all(entry.closed for entry in self.entries.values() if entry.sequence < sequence)


def _check_at(entry: Entry) -> float:
    return max(entry.asked_at, entry.changed_at, entry.checked_at) + CHECK_STORED_S


def _expires_at(entry: Entry) -> float:
    return entry.asked_at + entry.stored.ttl_s + EXPIRY_GRACE_S


def _inspect_at(entry: Entry) -> float:
    """When to inspect a request of another transport that makes no progress (monotonic seconds)."""
    since = _expires_at(entry) if entry.report is None else max(entry.changed_at, entry.asked_at)
    return max(since + STUCK_S, entry.inspected_at + INSPECT_EVERY_S)
