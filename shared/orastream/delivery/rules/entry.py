"""One stored request of a session, with its reports and cancels. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from orastream.contract.messages import Report, Transport
from orastream.contract.stored_requests import StoredCancel, StoredRequest


@dataclass(slots=True, eq=False)
class Entry:
    """One stored request and its state. `asked_at` is when the request was stored. Times are monotonic seconds."""

    stored: StoredRequest
    asked_at: float
    transport: Transport | None = field(init=False)
    """Who delivers it: the transport that the request states, else the one in the report, else None (unknown)."""
    report: Report | None = field(init=False, default=None)
    stands: int = field(init=False, default=0)
    """Revision of `report`, or 0 without a report."""
    duplicate: bool = field(init=False, default=False)
    """Whether the report under this request id belongs to another request with the same id."""
    changed_at: float = field(init=False, default=0.0)
    """When the last report was received."""
    _final_or_duplicate: bool = field(init=False, default=False)
    cancelled: bool = False
    cancelled_at_s: float | None = None
    """Unix time, by the server's clock, at which the first cancel of this request was stored."""
    began: bool = False
    """`Begin` was returned: this owner delivers the request."""
    ending: bool = False
    """`Stop` or `End` was returned."""
    closed: bool = False
    """This owner has nothing left to do for the request."""
    inspected_at: float = 0.0
    checked_at: float = 0.0
    tidy_at: float | None = None

    def __post_init__(self) -> None:
        self.transport = self.stored.stated_transport

    @property
    def sequence(self) -> int:
        """Its sequence in the stream, which is its place in the session's order."""
        return self.stored.sequence

    def heard(self, report: Report, revision: int, now: float) -> None:
        """Record the stored report under its id (a newer `revision`), received at `now`."""
        self.report, self.stands, self.changed_at = report, revision, now
        self.duplicate = report.request_seq != self.sequence
        self._final_or_duplicate = self.duplicate or report.final
        if self.stored.stated_transport is None:
            self.transport = None if self.duplicate else report.transport

    @property
    def revision(self) -> int:
        """The revision that the next report may replace; 0 if the stored report is final or belongs to another request.

        A writer that expects this revision can therefore never overwrite such a report.
        """
        return 0 if self._final_or_duplicate else self.stands

    @property
    def resumes(self) -> Report | None:
        """The checkpoint from which a delivery resumes: the stored report; None if it belongs to another request."""
        return None if self.duplicate else self.report

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
            self.cancelled_at_s = min(cancel.stored_at_s, self.cancelled_at_s or cancel.stored_at_s)

    @property
    def final(self) -> bool:
        """Whether later requests of the session need not wait for it: it is closed, final or a duplicate."""
        return self.closed or self._final_or_duplicate
