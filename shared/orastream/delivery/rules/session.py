"""The state machine of one session: which request is delivered, ended or tidied up next. Pure.

The runner passes in every stored request and cancel of the session, of both transports, and their reports. `poll`
returns which request to begin, which to end (cancelled, expired, stuck) and which to tidy up. Decisions depend on
stream sequences, so late and repeated events do no harm. Times are monotonic seconds.
"""

# length: one state machine; its events and decisions use the same state

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from orastream.contract.messages import FINAL, Report, ReportError, Status
from orastream.contract.report_state import ReportState, Verdict
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.contract.superseding import Supersedes
from orastream.delivery.rules import entry_order, look_ups, session_errors, superseding
from orastream.delivery.rules import session_outcomes as outcomes
from orastream.delivery.rules.cancels import Cancels
from orastream.delivery.rules.done_events import DoneEvents
from orastream.delivery.rules.end_frames import found_ended, may_have_chunks
from orastream.delivery.rules.entry import Entry, Stage
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.known_reports import KnownReports
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.look_ups import NEVER
from orastream.delivery.rules.play_time import PlayedUtterance, PlayTimes
from orastream.delivery.rules.session_effects import (
    Abandon,
    AnnounceCancel,
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
    WriteHeard,
)
from orastream.delivery.rules.session_outcomes import Purpose, ReportWritten, SessionOutcome
from orastream.delivery.rules.speech import EndedStatus

TIDY_AFTER_S = 5.0
"""A final report that another process wrote: how long that process has to tidy up before this owner does."""
TIDY_AGAIN_S = 1.0


@dataclass(slots=True)
class Session:
    """The machine of one session, for the bridge of one transport. `epoch` is the epoch of this ownership.

    Of requests that were stored before `reports_since` it gets no reports unless it asks for them.
    """

    transport: Literal["websocket", "http"]
    epoch: int
    lifetime: Lifetime
    reports_since: float = float("-inf")
    play: PlayTimes | None = None
    """The delivered utterances that play. None: OraServer gets no end frames."""
    announces: bool = False
    """Whether OraServer may have to know each cancel (protocol v2)."""
    heard: HeardBook | None = None
    """The utterances that are heard; None over HTTP if that is not recorded."""
    entries: dict[int, Entry] = field(default_factory=dict)
    """The stored requests of the session, by stream sequence, in order."""
    delivering: Entry | None = None
    """The request that this owner delivers, from `Begin` until `delivery_ended`."""
    _cancels: Cancels = field(default_factory=Cancels)
    _reports: KnownReports = field(default_factory=KnownReports)
    _queue: list[Effect] = field(default_factory=list)
    """Effects that the next `poll` returns."""
    _done: DoneEvents = field(default_factory=DoneEvents)

    def __post_init__(self) -> None:
        self.oraserver_needs_cancels(self.announces)

    # ---- events

    def request(self, stored: StoredRequest, asked_at: float) -> Entry:
        """Add a stored request and return its entry. Requests may come in any order and repeatedly."""
        if (entry := self.entries.get(stored.sequence)) is None:
            entry = self.entries[stored.sequence] = Entry(stored, asked_at)
            look_ups.begin(entry, self.reports_since)
            self.entries = dict(sorted(self.entries.items()))
            if (known := self._reports.get(stored.token)) is not None:
                self._apply_report(entry, *known)
            for cancel in self._covering():
                entry.cover(cancel)
        return entry

    def cancel(self, stored: StoredCancel) -> None:
        """Add a stored cancel. An unreadable one cancels nothing."""
        self._cancels.add(stored)
        self._cover(stored)

    def played(self, played: PlayedUtterance) -> None:
        """The running delivery has delivered its utterance. Call only with `play`."""
        assert self.play is not None, "without end frames nothing is remembered"
        self.play.delivered(played)
        for cancel in self._covering():  # one that came while OraServer confirmed `complete`
            self.play.cancel(cancel)
        self.lifetime.plays_until = self.play.until

    def report(self, token: str, state: ReportState, now: float) -> None:
        """Add a stored report of the session. Revisions that are not newer than the known one are ignored.

        If it shows that another owner delivers, this owner leaves the session.
        """
        if not self._reports.add(token, state, now):
            return
        for entry in self.entries.values():
            if entry.stored.token == token and entry.report_revision < state.revision:
                self._apply_report(entry, state, now)

    def oraserver_needs_cancels(self, needed: bool) -> None:
        """Whether OraServer may have to know each cancel from now on. Its protocol may have become known."""
        self.announces = self._cancels.announces = needed

    def requests_lost(self, now: float) -> None:
        """The stream of requests was lost, and created again. Those that are not claimed are looked for soon."""
        for entry in self.entries.values():
            if entry.report is None:
                entry.lost_at = now

    def delivery_ended(self, entry: Entry, audio_s: float | None = None) -> None:
        """The delivery that `Begin` started has ended. If its report is not final, `Begin` is returned again.

        `audio_s`: its audio is complete, and so many seconds long.
        """
        self.delivering = None
        if self.heard is not None and entry.final:
            self.heard.ended(entry.sequence, audio_s)
        if entry.stage is Stage.DELIVERING:
            entry.stage = Stage.WAITING

    def apply(self, outcome: SessionOutcome, now: float) -> None:
        """Take the outcome of an effect, or of a report that the running delivery wrote."""
        match outcome:
            case ReportWritten():
                self._written(outcome, now)
            case outcomes.Tidied(entry):
                entry.stage = Stage.CLOSED
            case outcomes.NotStored(entry):
                self._not_stored(entry)
            case outcomes.TidyFailed(entry):
                entry.tidy_at = now + TIDY_AGAIN_S
            case outcomes.Inspected(entry, lives, audio_ended):
                if entry.inspected(now, lives=lives, audio_ended=audio_ended):
                    self._end(entry, "failed", session_errors.not_delivered(entry.transport))
            case outcomes.CancelOutcome() | outcomes.CancelAnnounced():
                self._cancel_done(outcome, now)
            case outcomes.LookedUp(entry, known, answered):
                look_ups.looked_up(entry, now, answered=answered)
                if known is not None:
                    self.report(entry.stored.token, known, now)

    def forget(self, verified: int) -> None:
        """Remove closed requests. `verified`: the feed has read everything stored up to it."""
        for sequence in [sequence for sequence, entry in self.entries.items() if entry.closed]:
            del self.entries[sequence]
            self._done.add(sequence)
        self._done.forget(verified)

    def knows(self, sequence: int) -> bool:
        """Whether the request or cancel at this sequence has come; not for ever after its wake-up was acked."""
        return sequence in self.entries or sequence in self._cancels or sequence in self._done

    def acked(self, sequence: int) -> None:
        """The wake-up for the message at `sequence` was acked: it will hardly come again."""
        self._done.acked(sequence)

    def may_ack(self, sequence: int, verified: int) -> bool:
        """Whether the wake-up for the message stored at `sequence` may be acked: this owner has nothing to do for it.

        That is true for a request that is closed or that others end, for a deleted cancel, and for a message that is
        not stored any more: the feed has read every stored message up to `verified` and did not return this one.
        If it were acked earlier and this process died, the request would be lost.
        """
        if (entry := self.entries.get(sequence)) is not None:
            return entry.closed or entry.ended_by_others(self.transport)
        if sequence in self._cancels:
            return False
        return sequence in self._done or sequence <= verified

    # ---- what to do next

    def poll(self, now: float) -> list[Effect]:
        """Return the effects to carry out now, none after `lifetime.leave`. Those to be retried come again later."""
        if self.lifetime.leave_reason is not None:
            return []
        due, pending = look_ups.due(self.entries.values(), now)
        first: list[Effect] = [*map(AnnounceCancel, self._cancels.take_new()), *map(LookUp, due)]
        if pending:
            return [*self._write_heard(now), *first]
        self._queue.extend(first)
        for cancel in superseding.found(self.entries):
            self._cover(cancel)
            if self._cancels.announces:
                self._cancels.await_answer(cancel.sequence)
                self._queue.append(AnnounceCancel(cancel))
        # After the cancels are known, and before they are announced: then the listener drops what they cover.
        self._queue.extend(self._write_heard(now))
        if self.play is not None:
            self._queue.extend(map(EndPlayed, self.play.take(now)))
            self.lifetime.plays_until = self.play.until
        for entry in self.entries.values():
            self._judge(entry, now)
        if (head := entry_order.firsts(self.entries).head) is not None:
            self._begin(head, now)
        _, doubtful, lowest_open = entry_order.firsts(self.entries)  # again: the head may be one that is ended now
        if doubtful is not None and now >= doubtful.check_at:
            doubtful.checked_at, doubtful.lost_at = now, None
            self._queue.append(CheckStored(doubtful))
        effects = [*self._queue, *map(DropCancel, self._cancels.due(now, lowest_open))]
        self._queue.clear()
        return effects

    def next_time(self, now: float) -> float | None:
        """When to call `poll` again if no event comes before (monotonic seconds), or None."""
        look_at, pending = look_ups.next_time(self.entries.values())
        times = [look_at, self.lifetime.next_time(), None if self.heard is None else self.heard.next_time()]
        if not pending:
            head, doubtful, lowest_open = entry_order.firsts(self.entries)
            times.append(self._cancels.next_time(lowest_open))
            times += (at for entry in self.entries.values() if (at := entry.due_at(self.transport)) is not None)
            if doubtful is not None:
                times.append(doubtful.check_at)
            if head is not None and head.watched_by(self.transport):
                times.append(head.inspect_at)
        at = min((at for at in times if at is not None), default=NEVER)
        return max(at, now) if at != NEVER else None

    def is_open(self, sequence: int) -> bool:
        """Whether the request with this sequence is stored, and has no final report."""
        return sequence in self.entries and not self.entries[sequence].final

    @property
    def awaits_reports(self) -> bool:
        """Whether other processes are expected to write a report that matters here."""
        return any(entry.awaits_report(self.transport) for entry in self.entries.values())

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do for this session."""
        return not self._cancels and all(entry.closed for entry in self.entries.values())

    def over(self, now: float, *, current: bool) -> bool:
        """Whether to release the session now. `current`: the feed has returned every stored request and cancel.

        Wake-ups that are not acked do not keep it: one that can never be acked would keep it for ever.
        """
        return self.lifetime.over(now, delivering=self.delivering is not None, work=not self.idle or not current)

    # ---- inside

    def _cancel_done(self, outcome: outcomes.CancelOutcome | outcomes.CancelAnnounced, now: float) -> None:
        if isinstance(outcome, outcomes.CancelOutcome):
            self._cancels.apply(outcome, now)
            if outcome.sequence not in self._cancels:
                self._done.add(outcome.sequence)
        else:
            self._cancels.answered(outcome.sequence)
            if self.heard is not None:
                self.heard.answered(outcome.sequence, outcome.played_ms, now)

    def _covering(self) -> Iterator[StoredCancel]:
        """The stored cancels, and what superseding requests count as."""
        return chain(self._cancels, superseding.known(self.entries))

    def _write_heard(self, now: float) -> list[WriteHeard]:
        """The records that have changed: of utterances that have been played, and of those that new cancels cut."""
        if self.heard is None:
            return []
        changed = self.heard.take(now, answers=self._cancels.announces)
        self.lifetime.heard_until = self.heard.until
        return [WriteHeard(utterance) for utterance in changed]

    def _cover(self, cancel: StoredCancel) -> None:
        for entry in self.entries.values():
            entry.cover(cancel)
        if self.play is not None:
            self.play.cancel(cancel)
        if self.heard is not None:
            self.heard.cancel(cancel)

    def _may_tidy(self, entry: Entry) -> bool:
        """Whether this request, which is final, may be deleted: as a cancel it has nothing left to do."""
        return superseding.may_tidy(self.entries, entry) and not self._cancels.awaits_answer(entry.sequence)

    def _written(self, outcome: ReportWritten, now: float) -> None:
        entry = outcome.entry
        self.report(entry.stored.token, outcome.state, now)
        if outcome.ended_here:
            self._note_unheard(entry, outcome.state.report)
        if outcome.verdict is Verdict.SUPERSEDED and self._mine(entry):
            self.lifetime.leave("another owner writes the report")
        elif outcome.ended_here and self._may_tidy(entry):
            self._queue.append(Tidy(entry, just_written=True))
        elif outcome.ended_here:
            entry.tidy_held = True
        elif outcome.purpose is Purpose.END and not outcome.state.report.final:
            entry.stage = Stage.WAITING  # claimed meanwhile, or the id is another request's

    def _note_unheard(self, entry: Entry, final: Report) -> None:
        """Nothing of a request was heard that is cancelled before any of it was sent."""
        of_websocket = entry.transport in (None, "websocket") and final.fallback is None
        if self.heard is None or final.status != "cancelled" or entry.cancelled_by is None or not of_websocket:
            return
        if not may_have_chunks(final):
            self.heard.never_sent(entry.stored, entry.cancelled_by)

    def _apply_report(self, entry: Entry, state: ReportState, received_at: float) -> None:
        """Apply a report to a request. Leave if an owner with a higher epoch delivers this request of our transport."""
        entry.reported(state.report, state.revision, received_at)
        # The writer of a final report may have ended.
        if state.report.epoch > self.epoch and not entry.final and self._mine(entry):
            self.lifetime.leave("another owner has taken the session")

    def _mine(self, entry: Entry) -> bool:
        return entry.transport == self.transport

    def _judge(self, entry: Entry, now: float) -> None:
        if entry.closed:
            return
        if entry.final and entry.stage is Stage.DELIVERING:
            self._stop(entry)  # another process ended it
        if entry.report is not None and entry.report.status in FINAL:
            self._end_found(entry, found_ended(entry.report, self.epoch))
            self._tidy_later(entry, now)
            return
        if entry.duplicate or entry.stage is Stage.ENDING:
            return
        if entry.cancelled and not entry.ended_by_others(self.transport):
            if entry.stage is Stage.DELIVERING:
                self._stop(entry)
            else:
                self._end(entry, "cancelled")
        elif entry.may_expire(self.transport) and now >= entry.expires_at:
            self._end(entry, "expired", session_errors.not_claimed(entry.stored.ttl_s), unclaimed=True)

    def _not_stored(self, entry: Entry) -> None:
        if entry.may_expire(self.transport):
            self._end(entry, "failed", session_errors.deleted(), unclaimed=True)
        elif entry.may_be_gone:
            entry.stage = Stage.CLOSED  # another process ends it, or has

    def _tidy_later(self, entry: Entry, now: float) -> None:
        assert entry.report is not None, "called for a final report"
        if entry.ended_by_others(self.transport) and not entry.duplicate and entry.report.epoch != self.epoch:
            entry.stage = Stage.CLOSED  # the writer of its final report tidies: another bridge, or synth (`none`)
            return
        if not self._may_tidy(entry):
            entry.tidy_at = None
            return
        if entry.tidy_held:
            entry.tidy_held, entry.tidy_at = False, now + TIDY_AFTER_S
            self._queue.append(Tidy(entry, just_written=True))
        if entry.tidy_at is None:
            entry.tidy_at = now + TIDY_AFTER_S
        if now >= entry.tidy_at:
            entry.tidy_at = now + TIDY_AFTER_S
            self._queue.append(Tidy(entry))

    def _end(self, entry: Entry, status: Status, error: ReportError | None = None, *, unclaimed: bool = False) -> None:
        if entry.stage is Stage.ENDING or entry.final:
            return
        self._end_found(entry, "cancelled" if status == "cancelled" and may_have_chunks(entry.resumes) else None)
        if self.delivering is entry:
            self.delivering = None
            self._queue.append(Abandon(entry))
        entry.stage = Stage.ENDING
        unclaimed = unclaimed or entry.transport in (None, "none")
        revision = 0 if unclaimed else entry.revision
        self._queue.append(End(entry, status, error, revision, exact=unclaimed or not self._mine(entry)))

    def _end_found(self, entry: Entry, status: EndedStatus | None) -> None:
        """Return the effect `EndFound` once, if this owner did not deliver the request."""
        # A bridge with another TTS_MAX_TEXT_CHARS may have delivered what is no valid request here.
        valid = entry.stored.request is not None
        ours = valid and self._mine(entry) and entry.stage is Stage.WAITING and not entry.duplicate
        if status is None or self.play is None or not ours or entry.end_found:
            return
        later = (other.resumes for other in self.entries.values() if other.sequence > entry.sequence)
        if not any(map(may_have_chunks, later)):  # else OraServer could drop what it has of the later one
            entry.end_found = True
            self._queue.append(EndFound(entry, status))

    def _stop(self, entry: Entry) -> None:
        entry.stage = Stage.ENDING
        self._queue.append(Stop(entry))

    def _begin(self, head: Entry, now: float) -> None:
        head.first_since = now if head.first_since is None else head.first_since
        # Before that the cancel of what plays could come after the first chunk of this request, and be ignored.
        decided = head.superseding is not Supersedes.UNKNOWN
        free = self.delivering is None and not self.lifetime.draining and decided
        if self._mine(head) and free and head.stored.request is not None and head.stage is Stage.WAITING:
            head.stage, self.delivering = Stage.DELIVERING, head
            self._queue.append(Begin(head))
        elif head.watched_by(self.transport) and now >= head.inspect_at:
            if head.cancelled:
                self._end(head, "cancelled")
            else:
                head.inspect(now)
                self._queue.append(Inspect(head))
