"""One stored request of a session, with its reports and cancels. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from orastream.contract.messages import Report, Transport
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.contract.superseding import Supersedes

EXPIRY_GRACE_S = 5.0
"""An unclaimed request expires this long after its ttl, so that a claim that is being written still counts."""
STUCK_S = 60.0
"""A request of another transport fails if its report has not changed for this long, nor was it its turn before.

Only if no living bridge owns the session for that transport, and its audio has ended.
"""
INSPECT_EVERY_S = 10.0
ABANDONED_S = 1800.0
"""So long after its audio has ended, a request counts as not delivered although its bridge lives.

The final report of that bridge was lost with its stream, and the bridge does not know the request any more.
"""
STUCK_LOOKS = 3
"""A request is stuck when so many `Inspect` in a row have found that no bridge delivers it.

A bridge that is frozen for 15 s has no heartbeat for at most two of them.
"""
CHECK_STORED_S = 30.0
"""After this long without a report, look whether a request is still stored. Else one that was deleted would block.

Shorter than STUCK_S: else the bridge of the other transport fails a later request that waits for the deleted one.
"""
LOST_GRACE_S = 10.0
"""After the stream of requests was lost, look that much later: until then a synth may end a request that it holds."""


class Stage(Enum):
    """How far this owner's work for a request has come."""

    WAITING = "it waits for its turn, for a claim, or for another process that delivers it"
    DELIVERING = "`Begin` was returned: this owner delivers it"
    ENDING = "`Stop` or `End` was returned: its final report is being written"
    CLOSED = "this owner has nothing left to do for it"


@dataclass(slots=True, eq=False)
class Entry:
    """One stored request and its state. `asked_at` is when the request was stored. Times are monotonic seconds."""

    stored: StoredRequest
    asked_at: float
    transport: Transport | None = field(init=False)
    """Who delivers it: the transport that the request states, else the one in the report, else None (unknown)."""
    report: Report | None = field(init=False, default=None)
    """The stored report under its request id, or None."""
    report_revision: int = field(init=False, default=0)
    """Stream sequence of `report`, or 0 without a report."""
    duplicate: bool = field(init=False, default=False)
    """Whether the report under this request id belongs to another request with the same id."""
    changed_at: float = field(init=False, default=0.0)
    """When the last report was received."""
    _final_or_duplicate: bool = field(init=False, default=False)
    cancelled: bool = False
    """Whether a cancel covers it."""
    cancelled_by: int | None = None
    """Sequence of the first cancel of this request."""
    cancelled_at_s: float | None = None
    """Unix time, by the server's clock, at which the first cancel of this request was stored."""
    look_at: float = float("inf")
    """When to read the report under its id if none has come; infinity while it is read, and after that."""
    looked: bool = False
    """Whether the stream was read for the report under its id."""
    superseding: Supersedes = field(init=False, default=Supersedes.NO)
    """Whether it counts as a cancel of the requests before it. YES is never withdrawn."""
    must_look: bool = False
    """Whether its report may be older than what the feed of reports returns, and was not read yet."""
    stage: Stage = Stage.WAITING
    first_since: float | None = None
    """When this owner first saw that all earlier requests of the session are final."""
    inspected_at: float = 0.0
    """When `Inspect` was last returned for it."""
    inspecting: bool = False
    """The outcome of `Inspect` has not come yet."""
    _undelivered_looks: int = 0
    """Outcomes of `Inspect` in a row that found that no bridge delivers it, since its last report."""
    _audio_ended_at: float | None = None
    """When `Inspect` first found that its audio has ended, since its last report."""
    checked_at: float = 0.0
    """When `CheckStored` was last returned for it."""
    lost_at: float | None = None
    """When it became known that the stream of requests was lost, until `CheckStored` is returned for it."""
    end_found: bool = False
    """`EndFound` was returned for it."""
    tidy_at: float | None = None
    """When to return `Tidy` next, or None before its report is final."""
    tidy_held: bool = False
    """This owner has written its final report, and `Tidy` waits until the requests that it supersedes are closed."""

    def __post_init__(self) -> None:
        self.transport = self.stored.stated_transport
        if self.stored.request is not None and self.stored.request.supersede:
            self.superseding = Supersedes.UNKNOWN

    @property
    def sequence(self) -> int:
        """Its sequence in the stream, which is its place in the session's order."""
        return self.stored.sequence

    def reported(self, report: Report, revision: int, now: float) -> None:
        """Record the stored report under its id (a newer `revision`), received at `now`."""
        self.report, self.report_revision, self.changed_at = report, revision, now
        self.must_look = False
        self.duplicate = report.request_seq != self.sequence
        self._final_or_duplicate = self.duplicate or report.final
        self._undelivered_looks, self._audio_ended_at = 0, None
        if self.stored.stated_transport is None:
            self.transport = None if self.duplicate else report.transport

    def inspect(self, now: float) -> None:
        """Record that `Inspect` is returned for it now."""
        self.inspected_at, self.inspecting = now, True

    def inspected(self, now: float, *, lives: bool, audio_ended: bool) -> bool:
        """Record what `Inspect` has found. Returns whether the request is stuck, and must be ended."""
        self.inspecting = False
        if not audio_ended:
            self._audio_ended_at = None
        elif self._audio_ended_at is None:
            self._audio_ended_at = now
        abandoned = self._audio_ended_at is not None and now > self._audio_ended_at + ABANDONED_S
        undelivered = audio_ended and (abandoned or not lives)
        self._undelivered_looks = self._undelivered_looks + 1 if undelivered else 0
        return self._undelivered_looks >= STUCK_LOOKS

    @property
    def revision(self) -> int:
        """The revision that the next report may replace; 0 if the stored report is final or belongs to another request.

        A writer that expects this revision can therefore never overwrite such a report.
        """
        return 0 if self._final_or_duplicate else self.report_revision

    @property
    def resumes(self) -> Report | None:
        """The checkpoint from which a delivery resumes: the stored report; None if it belongs to another request."""
        return None if self.duplicate else self.report

    def replaceable(self, epoch: int) -> int:
        """The revision that a report of an owner with this epoch may replace; 0 if a later owner has written."""
        return 0 if self.report is not None and self.report.epoch > epoch else self.revision

    def must_fence(self, *, taken_over: bool) -> bool:
        """Whether a checkpoint with this owner's epoch must be stored before the first chunk is written.

        An earlier owner may still run without knowing that it lost the session. After the fence it can write no report,
        so a chunk that it still sends is never reported as delivered.
        """
        return taken_over or (self.report is not None and self.report.status == "delivering")

    def cover(self, cancel: StoredCancel) -> None:
        """Apply a cancel if it covers this request. May be called repeatedly."""
        if cancel.covers(self.sequence, self.stored.token):
            self.cancelled = True
            self.cancelled_by = min(cancel.sequence, self.cancelled_by or cancel.sequence)
            self.cancelled_at_s = min(cancel.stored_at_s, self.cancelled_at_s or cancel.stored_at_s)

    @property
    def closed(self) -> bool:
        """Whether this owner has nothing left to do for it."""
        return self.stage is Stage.CLOSED

    @property
    def final(self) -> bool:
        """Whether later requests of the session need not wait for it: it is closed, final or a duplicate."""
        return self.closed or self._final_or_duplicate

    def ended_by_others(self, transport: Transport) -> bool:
        """Whether it is no work of the bridge of `transport`: the other kind of bridge ends and tidies it or, if it is
        `none` and claimed, synth.

        A bridge ends a `none` that no synth claims, as perhaps no synth runs. It tidies what it has ended (epoch > 0).
        """
        if self.transport != "none":
            return self.transport not in (None, transport)
        return self.report is not None and not self.duplicate and self.report.epoch == 0

    def awaits_report(self, transport: Transport) -> bool:
        """Whether another process is expected to write a report of it that matters to the bridge of `transport`."""
        return not self.final and (self.report is None or self.transport != transport)

    def watched_by(self, transport: Transport) -> bool:
        """Whether the bridge of `transport` checks that another one delivers it. Not while it may become its own."""
        known = self.report is not None or self.transport is not None
        return known and self.transport != transport and self.stage is not Stage.ENDING and not self.inspecting

    @property
    def may_be_gone(self) -> bool:
        """Whether it may have been deleted unnoticed, so that nobody ends it.

        What is claimed for a bridge need not be stored any more: that bridge delivers the audio, and ends the request.
        """
        if self.report is None:
            return self.stage in (Stage.WAITING, Stage.DELIVERING)
        ended_by_others = self.transport == "none" or self.duplicate
        return self.stage is Stage.WAITING and ended_by_others and not self.report.final

    def may_expire(self, transport: Transport) -> bool:
        """Whether the bridge of `transport` ends it if no synth claims it in time."""
        return self.report is None and self.stage is not Stage.ENDING and not self.ended_by_others(transport)

    def due_at(self, transport: Transport) -> float | None:
        """When it must be expired or tidied up if nothing comes before (monotonic seconds), or None."""
        if self.closed:
            return None
        return self.expires_at if self.tidy_at is None and self.may_expire(transport) else self.tidy_at

    @property
    def expires_at(self) -> float:
        """When it expires if no synth has claimed it (monotonic seconds)."""
        return self.asked_at + self.stored.ttl_s + EXPIRY_GRACE_S

    @property
    def check_at(self) -> float:
        """When to look whether it is still stored, if no report comes before (monotonic seconds)."""
        at = max(self.asked_at, self.changed_at, self.checked_at) + CHECK_STORED_S
        return at if self.lost_at is None else min(at, self.lost_at + LOST_GRACE_S)

    @property
    def inspect_at(self) -> float:
        """When to look whether a bridge of another transport delivers it (monotonic seconds)."""
        since = self.expires_at if self.report is None else max(self.changed_at, self.asked_at)
        turn = since if self.first_since is None else max(since, self.first_since)
        return max(turn + STUCK_S, self.inspected_at + INSPECT_EVERY_S)
