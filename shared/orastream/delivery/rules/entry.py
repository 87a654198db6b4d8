"""One stored request of a session and what is known of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from orastream.contract.messages import Report, Transport
from orastream.contract.stored_requests import StoredCancel, StoredRequest


@dataclass(slots=True, eq=False)
class Entry:
    """One stored request and what is known of it. `asked_at` is the time of storing on the monotonic clock."""

    stored: StoredRequest
    asked_at: float
    transport: Transport | None = field(init=False)
    """Who delivers it: what it states, else what the claim says, else unknown."""
    report: Report | None = field(init=False, default=None)
    stands: int = field(init=False, default=0)
    """Revision of `report`, or 0."""
    duplicate: bool = field(init=False, default=False)
    """The id belongs to another request, which stands in the report."""
    changed_at: float = field(init=False, default=0.0)
    _over: bool = field(init=False, default=False)
    cancelled: bool = False
    cancelled_at_s: float | None = None
    """When the first cancel that covers it was stored, in unix seconds of the server's clock."""
    began: bool = False
    ending: bool = False
    closed: bool = False
    inspected_at: float = 0.0
    checked_at: float = 0.0
    tidy_at: float | None = None

    def __post_init__(self) -> None:
        self.transport = self.stored.stated_transport

    @property
    def sequence(self) -> int:
        """Its place in the session's order."""
        return self.stored.sequence

    def heard(self, report: Report, revision: int, now: float) -> None:
        """Learn what report stands under its id, and what follows from it: every round of the session asks."""
        self.report, self.stands, self.changed_at = report, revision, now
        self.duplicate = report.request_seq != self.sequence
        self._over = self.duplicate or report.final
        if self.stored.stated_transport is None:
            self.transport = None if self.duplicate else report.transport

    @property
    def revision(self) -> int:
        """The revision that its next report may be written over: 0 (none) when what stands is final or another's.

        A writer that gives it can therefore never overwrite such a report, whatever it has in mind.
        """
        return 0 if self._over else self.stands

    @property
    def resumes(self) -> Report | None:
        """The checkpoint that a delivery goes on from: the report that stands, unless the id belongs to another."""
        return None if self.duplicate else self.report

    def must_fence(self, *, taken_over: bool) -> bool:
        """Whether a checkpoint with this owner's epoch must stand before the first chunk.

        An owner before may live on without knowing that it lost the session. After the fence it can write no report,
        so that what it still sends is never counted as delivered.
        """
        return taken_over or (self.report is not None and self.report.status == "delivering")

    def cover(self, cancel: StoredCancel) -> None:
        """Learn of a cancel, which may be another's; any number of times."""
        if cancel.covers(self.sequence, self.stored.token):
            self.cancelled = True
            self.cancelled_at_s = min(cancel.stored_at_s, self.cancelled_at_s or cancel.stored_at_s)

    @property
    def final(self) -> bool:
        """Nothing will happen to it any more, as far as order goes."""
        return self.closed or self._over
