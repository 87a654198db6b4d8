"""The order of one session: each request gets exactly one final report, in order, whatever fails on the way.

A state machine models the node (stream, reports, audio), the synths, and the owners of both kinds of bridge.
It drives each owner's `Session` as `SessionRunner` and `Housekeeping` do. Owners read with a lag. Their effects are
carried out later, in any order, or never, as their process may die. An owner that has lost the session may still run.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from orastream.contract import subjects
from orastream.contract.audio_messages import AudioStart
from orastream.contract.messages import Report, ReportError, Status, Transport
from orastream.contract.report_state import ReportState, Verdict, judge
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.contract.superseding import Supersedes
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.play_time import PlayedUtterance, PlayTimes
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import (
    Abandon,
    Begin,
    CheckStored,
    DropCancel,
    Effect,
    End,
    EndFound,
    EndPlayed,
    Inspect,
    LookUp,
    Stop,
    Tidy,
)
from orastream.delivery.rules.session_outcomes import (
    CancelOutcome,
    Inspected,
    LookedUp,
    NotStored,
    Purpose,
    ReportWritten,
    SessionOutcome,
    Tidied,
    TidyFailed,
)
from orastream.delivery.rules.speech import Speech, SpeechEnd
from orastream.delivery.rules.wakeup import cancel_is_applied
from tests.unit.orastream.delivery.rules.session_messages import cancel, cancel_of, request

pytestmark = pytest.mark.unit

EXAMPLES = 100 * int(os.environ.get("FUZZ", "1"))
IDLE_S = 30.0
DRAIN_S = 6.0
MAX_REQUESTS = 10
PLAYS_S = 20.0
START = AudioStart(1, "wav", 8000, 1, "espeak", "ko-KR")

Kind = Literal["websocket", "http"]
KINDS: tuple[Kind, Kind] = ("websocket", "http")
StoredMessage = StoredRequest | StoredCancel


@dataclass(slots=True, eq=False)
class Delivery:
    """The delivery of one request by an owner: what `UtteranceRunner` does."""

    entry: Entry
    finished: bool = False
    """Its final report is being written."""
    done: bool = False
    wrote: bool = False
    """A chunk was written."""


@dataclass(frozen=True, slots=True)
class WriteFinal:
    """The write of the final report of a delivery."""

    entry: Entry
    status: Status


class Node:
    """What NATS stores, with all that was ever stored, for the checks."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.last = 0
        self.stream: dict[int, StoredMessage] = {}
        self.log: list[StoredMessage] = []
        self.stored_at: dict[int, float] = {}
        self.reports: dict[str, ReportState] = {}
        self.report_log: list[ReportState] = []
        self.reported_at: list[float] = []
        """When each report of the log was stored."""
        self.audio_ended: dict[str, bool] = {}
        self.finals: dict[int, Status] = {}
        self.purged: set[int] = set()

    def next_sequence(self) -> int:
        self.last += 1
        return self.last

    def store(self, message: StoredMessage) -> None:
        self.stream[message.sequence] = message
        self.stored_at[message.sequence] = self.now
        self.log.append(message)

    def requests(self) -> list[StoredRequest]:
        return [x for x in self.stream.values() if isinstance(x, StoredRequest)]

    def delete(self, sequence: int) -> None:
        self.stream.pop(sequence, None)

    def report(self, of: StoredRequest) -> Report | None:
        """The report of this very request, not of another one with the same id."""
        stored = self.reports.get(of.token)
        return stored.report if stored is not None and stored.report.request_seq == of.sequence else None

    def is_final(self, of: StoredRequest) -> bool:
        report = self.report(of)
        return report is not None and report.final

    def transport(self, of: StoredRequest) -> Transport | None:
        """Who delivers it: as stated, else as claimed."""
        report = self.report(of)
        return of.stated_transport or (report.transport if report is not None else None)

    def supersedes(self, x: StoredMessage) -> bool:
        """Whether it may count as a cancel: it is the first request with its id, or the one that was claimed."""
        if not isinstance(x, StoredRequest) or x.request is None or not x.request.supersede:
            return False
        first = next(of for of in self.log if isinstance(of, StoredRequest) and of.token == x.token)
        return first is x or self.report(x) is not None

    def cancelled(self, of: StoredRequest, by: Iterable[StoredMessage]) -> bool:
        return any(
            x.covers(of.sequence, of.token)
            if isinstance(x, StoredCancel)
            else x.sequence > of.sequence and self.supersedes(x)
            for x in by
        )

    def close(self, of: StoredRequest) -> bool:
        """As `ReportStore.close`."""
        supersedes = self.report(of) is not None and self.supersedes(of)
        if supersedes and any(other.sequence < of.sequence for other in self.requests()):
            return False
        self.delete(of.sequence)
        return True

    def write(self, of: StoredRequest, report: Report, revision: int | None) -> tuple[Verdict, ReportState]:
        """As `ReportStore.write`: compare-and-set at `revision`; after a conflict, or without one, judge first."""
        stored = self.reports.get(of.token)
        if stored is not None and stored.revision != revision:
            verdict = judge(stored.report, report)
            if verdict is not None:
                return verdict, stored
        return Verdict.WRITTEN, self._replace(stored, of, report)

    def write_first(self, of: StoredRequest, report: Report) -> tuple[Verdict, ReportState]:
        """As `ReportStore.write_first`."""
        return self.write_over(of, report, 0)

    def write_over(self, of: StoredRequest, report: Report, revision: int) -> tuple[Verdict, ReportState]:
        """As `ReportStore.write_over`."""
        stored = self.reports.get(of.token)
        if stored is not None and stored.revision != revision:
            return judge(stored.report, report) or Verdict.FINAL, stored
        return Verdict.WRITTEN, self._replace(stored, of, report)

    def _replace(self, before: ReportState | None, of: StoredRequest, report: Report) -> ReportState:
        assert before is None or not before.report.final, "a final report is overwritten"
        assert before is None or before.report.request_seq == of.sequence, "another request's report is overwritten"
        stored = self.reports[of.token] = ReportState(report, self.next_sequence(), 0.0)
        self.report_log.append(stored)
        self.reported_at.append(self.now)
        if report.final:
            assert of.sequence not in self.finals, "two final reports"
            self.finals[of.sequence] = report.status
            if report.status == "cancelled":
                assert self.cancelled(of, self.log), "reported as cancelled, and no cancel covers it"
            if report.status == "expired":
                assert before is None and self.now >= self.stored_at[of.sequence] + of.ttl_s, "expired too early"
        return stored


class Owner:
    """One owner of the session: its `Session`, how far its feeds have read, its background tasks and delivery."""

    def __init__(self, node: Node, kind: Kind, count: Callable[[str], None]) -> None:
        self.node, self.kind, self.count = node, kind, count
        self.epoch = node.next_sequence()
        # The mark of its process: it is some seconds old, or as old as the node in a process that has just begun.
        mark_at = (node.now - 0.05, node.now - 3.0, node.now - 50.0, float("-inf"))[node.last % 4]
        self.play = PlayTimes() if kind == "websocket" else None
        self.session = Session(kind, self.epoch, Lifetime(IDLE_S), mark_at, self.play)
        self.plays: dict[str, PlayedUtterance] = {}
        """What it has delivered, by request id, until `EndPlayed`."""
        self.found: set[int] = set()
        """The requests for which `EndFound` was returned."""
        self.events_read = 0
        self.reports_read = sum(at <= mark_at for at in node.reported_at)
        self.verified = 0
        self.started = False
        self.released = False
        self.must_leave = False
        """It has received a report that shows an owner with a higher epoch."""
        self.refused_by_other_kind = False
        """The owner of the other kind of bridge, with a higher epoch, delivers a request that this one would end."""
        self.tasks: list[Effect | WriteFinal] = []
        self.outcomes: list[SessionOutcome] = []
        self.delivery: Delivery | None = None

    @property
    def all_closed(self) -> bool:
        """Whether it has done all for the requests. It may wait to delete a cancel until others delete a request."""
        closed = all(entry.closed for entry in self.session.entries.values())
        waiting = any(not (isinstance(outcome, CancelOutcome) and not outcome.dropped) for outcome in self.outcomes)
        return self.started and self.current and closed and not waiting and self.delivery is None

    @property
    def idle(self) -> bool:
        return self.all_closed and self.session.idle and not self.outcomes

    # ---- the feeds

    @property
    def current(self) -> bool:
        return self.events_read == len(self.node.log)

    def read(self, events_lag: int, reports_lag: int, order: random.Random) -> None:
        """Read all but the last messages, in any order, and some stored ones again. The first read is complete."""
        node = self.node
        live = self.started and order.random() < 0.5  # live copies, else a read of what is still stored
        if not self.started:  # `SessionRunner` polls first when both feeds are current
            events_lag = reports_lag = 0
            self.started = True
        start, self.events_read = self.events_read, max(self.events_read, len(node.log) - events_lag)
        events = [x for x in node.log[start : self.events_read] if live or x.sequence in node.stream]
        events += [x for x in node.log[: self.events_read] if x.sequence in node.stream and order.random() < 0.1]
        order.shuffle(events)
        for message in events:
            if isinstance(message, StoredCancel):
                self.session.cancel(message)
            else:
                known = message.sequence in self.session.entries
                entry = self.session.request(message, node.stored_at[message.sequence])
                if not known:
                    self._note(entry)
        if self.current:
            self.verified = node.last
        start, self.reports_read = self.reports_read, max(self.reports_read, len(node.report_log) - reports_lag)
        reports = node.report_log[start : self.reports_read]
        order.shuffle(reports)
        for state in reports:
            self._read_report(state)

    def _read_report(self, state: ReportState) -> None:
        report, token = state.report, subjects.token(state.report.request_id)
        entry = self.session.entries.get(report.request_seq)
        newest = entry is not None and entry.report_revision < state.revision
        self.session.report(token, state, self.node.now)
        if entry is not None and newest:
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        """Note whether the newest report of a request shows a later owner of this kind of bridge."""
        report = entry.report
        if report is not None and report.request_seq == entry.sequence and entry.transport == self.kind:
            self.must_leave |= report.epoch > self.epoch and not report.final

    # ---- the loop

    def round(self, events_lag: int, reports_lag: int, order: random.Random) -> None:
        """One full round of `SessionRunner._rounds`."""
        session, now = self.session, self.node.now
        self.take_outcomes()
        if session.lifetime.leave_reason is not None:
            self._leave()
            return
        self.read(events_lag, reports_lag, order)
        self._poll()
        session.forget(self.verified)
        self._check_acks()
        self._check_leaving()
        if session.over(now, current=self.current):
            self._release()
            return
        due = session.next_time(now)
        assert due is None or due > now, f"the {self.kind} owner polls in a tight loop: due {due} at {now}"

    def take_outcomes(self) -> None:
        """`SessionRunner._take_outcomes`."""
        outcomes, self.outcomes = self.outcomes, []
        for outcome in outcomes:
            if isinstance(outcome, LookedUp) and outcome.state is not None:
                self._read_report(outcome.state)
            self.session.apply(outcome, self.node.now)
            if isinstance(outcome, ReportWritten):
                superseded = outcome.verdict is Verdict.SUPERSEDED
                self.must_leave |= superseded
                self.refused_by_other_kind |= superseded and outcome.entry.transport != self.kind
                if self.delivery is not None and self.delivery.entry is outcome.entry:
                    self.delivery.done |= outcome.purpose is Purpose.DELIVERY_END
        if self.delivery is not None and self.delivery.done:
            entry, self.delivery = self.delivery.entry, None
            self.session.delivery_ended(entry)
        self._check_leaving()

    def _poll(self) -> None:
        effects = self.session.poll(self.node.now)
        if self.session.lifetime.leave_reason is None:
            self._check_superseded()
        assert not effects or self.session.lifetime.leave_reason is None, "an effect after leaving"
        for i, effect in enumerate(effects):
            match effect:
                case Begin(entry):
                    self._check_begin(entry)
                    self.delivery = Delivery(entry)
                case Stop(entry):
                    assert self.delivery is not None and self.delivery.entry is entry, "Stop without a delivery"
                    if not self.delivery.finished:
                        self.delivery.finished = True
                        self.tasks.append(WriteFinal(entry, "cancelled"))
                case Abandon(entry):
                    assert self.delivery is None or self._delivers(entry), (
                        "Abandon of another delivery"
                    )  # it may have ended
                    following = effects[i + 1]
                    assert isinstance(following, End) and following.entry is entry, "Abandon without End"
                    self.delivery = None
                case EndPlayed(end):
                    self._check_end_played(end)
                case EndFound(entry, status):
                    self._check_end_found(entry, status)
                case _:
                    assert not (isinstance(effect, End) and self._delivers(effect.entry)), "End during the delivery"
                    if isinstance(effect, Tidy) and effect.entry.superseding is Supersedes.YES:
                        before = [x for x in self.session.entries.values() if x.sequence < effect.entry.sequence]
                        assert all(x.closed for x in before), "tidied although it supersedes an open request"
                    self.tasks.append(effect)

    def _check_superseded(self) -> None:
        """A request that supersedes, as far as this owner can know, covers each earlier one that is open."""
        entries = list(self.session.entries.values())
        if any(entry.must_look for entry in entries):
            return
        for entry in entries:
            request = entry.stored.request
            if request is None or not request.supersede:
                assert entry.superseding is Supersedes.NO
                continue
            earlier = [x for x in entries if x.sequence < entry.sequence and not x.closed]
            first = all(x.stored.token != entry.stored.token for x in earlier)
            if entry.duplicate and entry.superseding is not Supersedes.YES:
                self.count("a duplicate supersedes nothing")
            elif entry.report is not None or (entry.looked and first and request.engine is None):
                assert all(x.cancelled for x in earlier), "a request that supersedes covers an earlier one not"
                self.count("superseded" if earlier else "nothing to supersede")

    def _check_end_played(self, end: SpeechEnd) -> None:
        """A cancel covers the utterance and all later ones that were written, it plays, and it is ended once."""
        self.count("ended while it played")
        played = self.plays.pop(end.speech.request_id)
        of = next(x for x in self.node.log if x.sequence == played.sequence)
        assert isinstance(of, StoredRequest) and self.node.cancelled(of, self.node.log)
        assert self.node.now < played.began_at + PLAYS_S * MAX_REQUESTS
        delivering = self.delivery is not None and self.delivery.wrote and self.delivery.entry
        assert not delivering or self.node.cancelled(delivering.stored, self.node.log), "a later one is not cancelled"

    def _check_end_found(self, entry: Entry, status: Status) -> None:
        """An earlier owner has written chunks, and the request is cancelled, or has ended so. Once for each owner."""
        self.count("end found")
        assert self.kind == "websocket" == self.node.transport(entry.stored) and not self._delivers(entry)
        assert entry.sequence not in self.found and entry.sequence not in (x.sequence for x in self.plays.values())
        self.found.add(entry.sequence)
        report = self.node.report(entry.stored)
        assert report is not None and report.epoch > 0 and report.first_audio_ms is not None
        assert report.status == status or (status == "cancelled" and entry.cancelled)

    def _delivers(self, entry: Entry) -> bool:
        return self.delivery is not None and self.delivery.entry is entry

    def _check_begin(self, entry: Entry) -> None:
        node, of = self.node, entry.stored
        assert self.delivery is None, "two deliveries at a time"
        assert not self.session.lifetime.draining, "begun while draining"
        assert node.transport(of) == self.kind, "begun by the wrong kind of bridge"
        cancelled = node.cancelled(of, (x for x in node.log[: self.events_read] if isinstance(x, StoredCancel)))
        later = (x for x in self.session.entries.values() if x.sequence > of.sequence)
        cancelled |= any(x.superseding is Supersedes.YES for x in later)
        assert entry.superseding is not Supersedes.UNKNOWN, "begun before it is known whether it supersedes"
        assert not cancelled or of.sequence in node.purged, "begun although cancelled"
        for earlier in node.log:
            if isinstance(earlier, StoredRequest) and earlier.sequence < of.sequence:
                duplicate = earlier.token in node.reports and node.report(earlier) is None
                open_ = not duplicate and not node.is_final(earlier) and earlier.sequence not in node.purged
                assert not open_ or node.transport(earlier) == "none", (
                    f"{of.sequence} begun before {earlier.sequence} is final"
                )

    def _check_acks(self) -> None:
        for sequence, message in self.node.stream.items():
            if self.session.may_ack(sequence, self.verified):
                assert isinstance(message, StoredRequest), "acked, and the cancel is stored: no owner would delete it"
                assert self._others_end(message), "acked, and the request is stored: no owner would end or delete it"

    def _others_end(self, of: StoredRequest) -> bool:
        """Whether no bridge of this kind has to end or delete it."""
        transport, report = self.node.transport(of), self.node.report(of)
        if transport == "none":
            return report is not None and report.epoch == 0  # synth has claimed it
        return transport not in (None, self.kind)

    def _check_leaving(self) -> None:
        left = self.session.lifetime.leave_reason is not None
        assert left == self.must_leave, "leaves exactly when it sees an owner with a higher epoch"

    def _leave(self) -> None:
        self.count("left")
        self.released = True
        assert self.session.over(self.node.now, current=True)
        for later in (self.node.now, self.node.now + 1e6):
            assert self.session.poll(later) == [], "an effect after leaving"

    def _release(self) -> None:
        """The session is over: finish the background tasks, as `SessionRunner._shut_down` does."""
        lifetime = self.session.lifetime
        if lifetime.leave_reason is not None:
            self._leave()
            return
        self.released = True
        if lifetime.draining:
            self.count("drained")
        else:
            self.count("released idle")
            assert self.session.idle and self.delivery is None, "released with work left"
        self.finish_tasks()
        self.take_outcomes()

    # ---- background tasks

    def finish_tasks(self) -> None:
        while self.tasks:
            self.run_task(0, answers=True)

    def run_task(self, index: int, *, answers: bool) -> None:
        """Run one background task. `answers`: NATS answers; else the task gives up, or goes on later."""
        task = self.tasks.pop(index)
        if not answers and isinstance(task, End | WriteFinal):
            self.tasks.append(task)  # retried until NATS answers
            return
        outcome = self._carry_out(task, answers=answers)
        if outcome is not None:
            self.outcomes.append(outcome)

    def _carry_out(self, task: Effect | WriteFinal, *, answers: bool) -> SessionOutcome | None:
        """As `Housekeeping.carry_out` and `UtteranceRunner._store`."""
        node = self.node
        match task:
            case End():
                return self._end(task)
            case WriteFinal(entry, status):
                self.count(f"{status} by a delivery")
                return self._write(entry, Purpose.DELIVERY_END, status)
            case Tidy(entry, just_written):
                return self._tidy(entry, just_written=just_written, answers=answers)
            case Inspect(entry):
                assert entry.transport != self.kind, "inspects a request that it delivers itself"
                ended = node.audio_ended.get(entry.stored.token, True) or entry.sequence in node.purged  # it expires
                return Inspected(entry, False, answers and ended)
            case CheckStored(entry):
                return NotStored(entry) if answers and entry.sequence not in node.stream else None
            case LookUp(entry):
                self.count("looked up" if answers else "not looked up")
                return LookedUp(entry, node.reports.get(entry.stored.token) if answers else None, answered=answers)
            case DropCancel(sequence):
                lowest = min((of.sequence for of in node.requests()), default=None)
                if answers and cancel_is_applied(sequence, lowest):
                    node.delete(sequence)
                    return CancelOutcome(sequence, dropped=True)
                return CancelOutcome(sequence, dropped=False)
            case _:
                raise AssertionError(f"not a background task: {task}")

    def _end(self, effect: End) -> ReportWritten:
        entry = effect.entry
        base = entry.resumes or entry.stored.report("queued")
        final = base.with_(status=effect.status, error=effect.error, epoch=self.epoch)
        write = self.node.write_over if effect.exact else self.node.write
        written = write(entry.stored, final, effect.revision)
        outcome = ReportWritten(entry, Purpose.END, *written)
        if outcome.ended_here:
            self.count(f"{effect.status} by End")
        return outcome

    def _tidy(self, entry: Entry, *, just_written: bool, answers: bool) -> SessionOutcome | None:
        node = self.node
        report = node.reports[entry.stored.token].report
        assert report.final and entry.report is not None and entry.report.final, "tidied before its final report"
        if just_written:
            assert (report.request_seq, report.epoch) == (entry.sequence, self.epoch), "another owner wrote the report"
            if not answers:
                return TidyFailed(entry)
        elif not answers:
            return None
        return Tidied(entry) if node.close(entry.stored) else TidyFailed(entry)

    # ---- the running delivery

    def checkpoint(self, purpose: Purpose) -> None:
        """Write a checkpoint of the running delivery, which synth has claimed."""
        assert self.delivery is not None
        if purpose is Purpose.CHECKPOINT:
            self._chunk_written(self.delivery)
        self.outcomes.append(self._write(self.delivery.entry, purpose, "delivering"))

    def _chunk_written(self, delivery: Delivery) -> None:
        delivery.wrote = True
        if self.play is not None:
            self.play.written(delivery.entry.sequence, delivery.entry.stored.token)

    def _write(self, entry: Entry, purpose: Purpose, status: Status) -> ReportWritten:
        base = entry.resumes or entry.stored.report("queued")
        report = base.with_(status=status, epoch=self.epoch)
        if self.delivery is not None and self.delivery.wrote:
            report = report.with_(first_audio_ms=1.0)
        before = self.node.reports.get(entry.stored.token)
        outcome = ReportWritten(entry, purpose, *self.node.write(entry.stored, report, entry.revision or None))
        if outcome.verdict is Verdict.WRITTEN:
            assert before is None or before.report.epoch <= self.epoch, "a later owner's report is overwritten"
        return outcome

    def end_delivery(self, status: Status) -> None:
        """The delivery ends: audio and confirmations are complete, or it has failed."""
        assert self.delivery is not None
        self.delivery.finished = True
        self.tasks.append(WriteFinal(self.delivery.entry, status))
        if status == "delivered" and self.play is not None:
            stored = self.delivery.entry.stored
            self._chunk_written(self.delivery)
            end = SpeechEnd(Speech.of(stored, with_rate=False), START, "cancelled")
            played = PlayedUtterance(stored.sequence, stored.token, self.node.now, PLAYS_S, end)
            self.plays[stored.request_id] = played
            self.session.played(played)


ORDERS = st.randoms(use_true_random=False)
LAGS = st.sampled_from([0, 0, 0, 1, 3])
ANSWERS = st.sampled_from([True, True, True, False])


class SessionMachine(RuleBasedStateMachine):
    """The session `s`. `owners` are the present owners by kind; `losers` have lost the session and do not know it."""

    counts: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.node = Node()
        self.owners: dict[Kind, Owner] = {}
        self.losers: list[Owner] = []
        self.unserved: set[int] = set()
        """Requests that no synth claims."""
        self.acked_by_synth: set[int] = set()
        self.default: Transport = "websocket"

    @initialize(default=st.sampled_from(KINDS), http_runs=st.sampled_from([True, True, False]))
    def start(self, default: Transport, http_runs: bool) -> None:
        """`default`: the transport that synth claims for a request that states none."""
        self.default = default
        for kind in KINDS if http_runs else KINDS[:1]:
            self._take(kind)

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        if currently_in_test_context():
            event(what)

    def _take(self, kind: Kind) -> None:
        self.owners[kind] = Owner(self.node, kind, self._count)

    def _all_owners(self) -> list[Owner]:
        return [*self.owners.values(), *self.losers]

    # ---- publishers

    @precondition(lambda self: len(self.node.stored_at) < MAX_REQUESTS)
    @rule(
        transport=st.sampled_from([None, None, "websocket", "websocket", "http", "none"]),
        name=st.sampled_from([None, None, None, "r0", "r1"]),
        ttl_s=st.sampled_from([1, 30, 300]),
        served=st.sampled_from(["at once", "later", "later", "never"]),
        supersede=st.sampled_from([False, False, True]),
        engine=st.sampled_from([None, None, None, "espeak"]),
    )
    def a_request_is_stored(  # noqa: PLR0913 - what may differ between two requests
        self,
        transport: str | None,
        name: str | None,
        ttl_s: int,
        served: str,
        supersede: bool = False,
        engine: str | None = None,
    ) -> None:
        sequence = self.node.next_sequence()
        fields: dict[str, object] = {} if name is None else {"requestId": name}
        fields |= {"supersede": True, "engine": engine} if supersede else {}
        of = request(sequence, transport, ttlSeconds=ttl_s, **fields)
        self.node.store(of)
        if served == "never":
            self.unserved.add(sequence)
        elif served == "at once":
            self._synth(of, completes=False)

    @precondition(lambda self: self.node.log)
    @rule(data=st.data(), payload=st.sampled_from(["session", "request", "unreadable"]))
    def a_cancel_is_stored(self, data: st.DataObject, payload: str) -> None:
        asked = [x for x in self.node.log if isinstance(x, StoredRequest)]
        if payload == "request" and asked:
            self._cancel(data.draw(st.sampled_from(asked)).request_id)
        else:
            self.node.store(cancel(self.node.next_sequence(), b"" if payload == "session" else b"{"))

    def _cancel(self, request_id: str) -> None:
        self.node.store(cancel_of(self.node.next_sequence(), request_id))

    def _with_an_id_of_their_own(self) -> list[StoredRequest]:
        return [of for of in self.node.requests() if of.token.startswith("seq-")]

    @precondition(lambda self: self._with_an_id_of_their_own())
    @rule(data=st.data())
    def a_request_is_purged(self, data: st.DataObject) -> None:
        """An operator deletes a request. It then has no final report, unless a bridge that has read it ends it.

        Only one with an id of its own: a duplicate would wait for the final report.
        """
        of = data.draw(st.sampled_from(self._with_an_id_of_their_own()))
        self.node.delete(of.sequence)
        self.node.purged.add(of.sequence)

    # ---- synths

    def _waiting(self) -> list[StoredRequest]:
        left_out = self.acked_by_synth | self.unserved
        return [of for of in self.node.requests() if of.sequence not in left_out]

    @precondition(lambda self: self._waiting())
    @rule(data=st.data(), completes=st.booleans())
    def a_synth_receives_a_request(self, data: st.DataObject, completes: bool) -> None:
        self._synth(data.draw(st.sampled_from(self._waiting())), completes)

    def _synth(self, of: StoredRequest, completes: bool) -> None:
        """Claim the request and, if `completes`, synthesize it. A synth that died has done only a part."""
        node = self.node
        stored = node.reports.get(of.token)
        if stored is None and node.now > node.stored_at[of.sequence] + of.ttl_s:
            node.write_first(of, of.report("expired", error=ReportError.of("expired", "late")))
            self._count("expired by synth")
            if completes:
                node.close(of)
            return
        if stored is None:
            _, stored = node.write_first(of, of.report("synthesizing", transport=of.stated_transport or self.default))
            node.audio_ended[of.token] = False
        if stored.report.request_seq != of.sequence or stored.report.final:
            if stored.report.final:
                node.close(of)  # a duplicate gets the first one's report
            return
        if not completes:
            return
        cancelled = node.cancelled(of, node.log)
        node.audio_ended[of.token] = True
        closed = True
        if stored.report.transport == "none":
            node.write(of, stored.report.with_(status="cancelled" if cancelled else "delivered"), stored.revision)
            closed = node.close(of)
        if closed:
            self.acked_by_synth.add(of.sequence)

    # ---- owners

    @rule(data=st.data(), events_lag=LAGS, reports_lag=LAGS, order=ORDERS)
    def a_round(self, data: st.DataObject, events_lag: int, reports_lag: int, order: random.Random) -> None:
        self._round(data.draw(st.sampled_from(self._all_owners())), events_lag, reports_lag, order)

    @rule(order=ORDERS)
    def a_round_of_all(self, order: random.Random) -> None:
        for owner in self._all_owners():
            self._round(owner, 0, 0, order)
            if not owner.released:
                owner.finish_tasks()

    def _round(self, owner: Owner, events_lag: int, reports_lag: int, order: random.Random) -> None:
        owner.round(events_lag, reports_lag, order)
        if owner in self.losers:
            if owner.released:
                self.losers.remove(owner)
            return
        left = owner.session.lifetime.leave_reason is not None
        assert not left or owner.refused_by_other_kind, "the owner with the highest epoch leaves"
        if owner.released:
            self._take(owner.kind)

    @precondition(lambda self: any(owner.tasks for owner in self._all_owners()))
    @rule(data=st.data(), answers=ANSWERS)
    def a_task_runs(self, data: st.DataObject, answers: bool) -> None:
        owner = data.draw(st.sampled_from([x for x in self._all_owners() if x.tasks]))
        owner.run_task(data.draw(st.integers(0, len(owner.tasks) - 1)), answers=answers)

    def _delivering(self) -> list[Owner]:
        return [x for x in self._all_owners() if x.delivery is not None and not x.delivery.finished]

    @precondition(lambda self: self._delivering())
    @rule(data=st.data(), purpose=st.sampled_from([Purpose.CHECKPOINT, Purpose.FENCE]))
    def a_delivery_writes_a_checkpoint(self, data: st.DataObject, purpose: Purpose) -> None:
        owner = data.draw(st.sampled_from(self._delivering()))
        assert owner.delivery is not None
        if owner.delivery.entry.resumes is not None:
            owner.checkpoint(purpose)

    @precondition(lambda self: self._delivering())
    @rule(data=st.data(), fails=st.sampled_from([False, False, False, True]))
    def a_delivery_ends(self, data: st.DataObject, fails: bool) -> None:
        self._deliver(data.draw(st.sampled_from(self._delivering())), fails)

    def _deliver(self, owner: Owner, fails: bool) -> None:
        assert owner.delivery is not None
        entry = owner.delivery.entry
        ended = self.node.audio_ended.get(entry.stored.token)
        stalled = entry.sequence in self.node.purged and not ended  # no other synth gets the request
        if fails or (entry.resumes is not None and stalled):
            owner.end_delivery("failed")  # OraServer refuses it, perhaps before a claim
        elif entry.resumes is not None and ended:
            owner.end_delivery("delivered")

    @rule(data=st.data(), survives=st.booleans())
    def another_bridge_takes_the_session(self, data: st.DataObject, survives: bool) -> None:
        """The owner has died, or it runs on and does not know that its lease has lapsed."""
        kind = data.draw(st.sampled_from(sorted(self.owners)))
        if survives:
            self.losers = [*self.losers[-1:], self.owners[kind]]
        self._take(kind)

    @precondition(lambda self: any(owner in self.owners.values() for owner in self._delivering()))
    @rule(data=st.data(), order=ORDERS)
    def another_bridge_takes_over_the_delivery(self, data: st.DataObject, order: random.Random) -> None:
        """The owner runs on. The next owner delivers the same request and writes its fence."""
        present = [x for x in self._delivering() if x in self.owners.values()]
        self._take_over_delivery(data.draw(st.sampled_from(present)), order)

    def _take_over_delivery(self, loser: Owner, order: random.Random) -> None:
        self.losers = [*self.losers[-1:], loser]
        self._take(loser.kind)
        owner = self.owners[loser.kind]
        self._round(owner, 0, 0, order)
        if owner in self._delivering() and owner.delivery is not None and owner.delivery.entry.resumes is not None:
            owner.checkpoint(Purpose.FENCE)

    @rule(data=st.data(), really=st.sampled_from([False, False, False, False, True]))
    def an_owner_drains(self, data: st.DataObject, really: bool) -> None:
        if really:
            data.draw(st.sampled_from(self._all_owners())).session.lifetime.drain(self.node.now, DRAIN_S)

    @rule(passed_s=st.sampled_from([0.1, 0.1, 1.0, 6.0, 6.0, 40.0, 130.0]))
    def time_passes(self, passed_s: float) -> None:
        self.node.now += passed_s

    # ---- the end

    def teardown(self) -> None:
        """Nothing fails any more: all becomes idle, and each request has got its one final report."""
        if not self.owners:
            return
        if "http" not in self.owners:
            self._run(lambda owner: owner.all_closed)
            self._take("http")  # it tidies HTTP requests whose WebSocket bridge died after it had ended them
        self._run(lambda owner: owner.idle)
        assert not self.node.stream, f"still stored: {self.node.stream}"
        self._check_finals()
        for owner in self.owners.values():
            self._check_idle(owner)

    def _run(self, is_done: Callable[[Owner], bool]) -> None:
        order = random.Random(0)
        for _ in range(500):
            for of in self._waiting():
                self._synth(of, completes=True)
            for owner in self._all_owners():
                self._round(owner, 0, 0, order)
                if owner.released:
                    continue
                owner.finish_tasks()
                if owner.delivery is not None and not owner.delivery.finished:
                    self._deliver(owner, fails=False)
            busy = [owner for owner in self._all_owners() if not is_done(owner)]
            if not busy:
                return
            due = [owner.session.next_time(self.node.now) for owner in busy]
            self.node.now = max(self.node.now + 0.25, min((at for at in due if at is not None), default=0.0))
        raise AssertionError(f"not idle: {[owner.session for owner in busy]}")

    def _check_finals(self) -> None:
        for of in self.node.log:
            if isinstance(of, StoredRequest) and of.sequence not in self.node.purged:
                state = self.node.reports[of.token]
                assert state.report.final, "no final report"
                ended, duplicate = of.sequence in self.node.finals, state.report.request_seq != of.sequence
                assert ended != duplicate, "exactly the first request with an id has a final report of its own"
        for sequence, status in self.node.finals.items():
            self._count(f"{status}")
            assert sequence in self.node.stored_at

    def _check_idle(self, owner: Owner) -> None:
        session, now = owner.session, self.node.now
        session.over(now, current=True)
        due = session.next_time(now)
        assert due is not None and session.over(due, current=True), "nothing is left but the release"
        assert session.poll(now + 1e6) == []
        session.forget(self.node.last)
        assert not session.entries and session.idle
        assert all(session.may_ack(sequence, self.node.last) for sequence in self.node.stored_at)


def test_each_request_gets_one_final_report_in_order() -> None:
    run_state_machine_as_test(SessionMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=50))


def test_the_model_reaches_each_way_to_end_a_request() -> None:
    """Without this, a model in which little happens would pass."""
    SessionMachine.counts.clear()
    machine, order = SessionMachine(), random.Random(0)
    machine.start("websocket", http_runs=False)
    stored = [
        ("websocket", 300, "at once"),  # delivered
        ("websocket", 300, "at once"),  # failed by its delivery
        ("websocket", 300, "at once"),  # cancelled during its delivery, which another owner takes over
        ("http", 300, "at once"),  # failed: no HTTP bridge runs
        ("websocket", 1, "later"),  # expired: synth is late
        (None, 30, "never"),  # expired: no synth runs
        (None, 300, "never"),  # cancelled before a claim
    ]
    requests = []
    for transport, ttl_s, served in stored:
        machine.a_request_is_stored(transport=transport, name=None, ttl_s=ttl_s, served=served)
        of = machine.node.log[-1]
        assert isinstance(of, StoredRequest)
        requests.append(of)
    machine._cancel(requests[6].request_id)
    machine.a_round_of_all(order)
    for fails in (False, True):
        machine._synth(machine._waiting()[0], completes=True)
        machine._deliver(machine.owners["websocket"], fails)
        for _ in range(3):
            machine.a_round_of_all(order)
    machine._take_over_delivery(machine.owners["websocket"], order)
    machine._cancel(requests[2].request_id)
    machine.a_round_of_all(order)
    machine.node.now += 2.0
    machine._synth(requests[4], completes=True)
    machine.owners["websocket"].session.lifetime.drain(machine.node.now, DRAIN_S)
    machine.teardown()
    statuses = [machine.node.finals[of.sequence] for of in requests]
    assert statuses == ["delivered", "failed", "cancelled", "failed", "expired", "expired", "cancelled"]
    assert SessionMachine.counts.keys() >= {
        *("left", "drained", "delivered by a delivery", "failed by a delivery", "cancelled by a delivery"),
        *("cancelled by End", "expired by End", "failed by End", "expired by synth"),
    }


def test_the_model_reaches_both_ways_to_send_an_end_frame_without_a_delivery() -> None:
    SessionMachine.counts.clear()
    machine, order = SessionMachine(), random.Random(0)
    machine.start("websocket", http_runs=False)
    for _ in range(2):
        machine.a_request_is_stored(transport="websocket", name=None, ttl_s=300, served="at once")
    first, second = (of for of in machine.node.log if isinstance(of, StoredRequest))
    machine.a_round_of_all(order)
    machine._synth(first, completes=True)
    machine._deliver(machine.owners["websocket"], fails=False)
    for _ in range(3):
        machine.a_round_of_all(order)
    machine.owners["websocket"].checkpoint(Purpose.CHECKPOINT)
    machine._cancel(second.request_id)
    machine.node.store(cancel(machine.node.next_sequence()))
    machine.a_round_of_all(order)
    assert SessionMachine.counts["ended while it played"] == 1
    machine.a_request_is_stored(transport="websocket", name=None, ttl_s=300, served="at once")
    third = machine.node.log[-1]
    assert isinstance(third, StoredRequest)
    for _ in range(3):
        machine.a_round_of_all(order)
    machine.owners["websocket"].checkpoint(Purpose.CHECKPOINT)
    machine._cancel(third.request_id)
    machine._take("websocket")
    machine.a_round_of_all(order)
    assert SessionMachine.counts["end found"] == 1
    machine.teardown()
    assert [machine.node.finals[of.sequence] for of in (first, second, third)] == ["delivered"] + ["cancelled"] * 2
