"""When a request with `supersede` counts as a cancel of all that its session asked before it. Pure.

The claim of a request is its first report, and only one copy of a request id is claimed. But a claim may wait long for
a free slot. So a valid request counts from the moment when it is seen that no other copy of its id can be claimed
before it: no report is stored under its id, nor an earlier request with this id.

It counts as long as it is stored, also if it fails later as invalid, for its voice or a piece of its text: who reads it
then decides as those do that have stopped the earlier requests. So it is not deleted before them (`ReportStore.close`).
"""

from __future__ import annotations

from enum import Enum

from orastream.contract.messages import Report
from orastream.contract.stored_requests import StoredCancel, StoredRequest


class Supersedes(Enum):
    """Whether a stored request cancels the earlier requests of its session."""

    YES = "it counts as a cancel that is stored at its own sequence"
    NO = "it has no `supersede`, is invalid, or its id belongs to another request"
    UNKNOWN = "its first report decides: another copy may be claimed, or only a synth knows whether it is valid"


def supersedes(stored: StoredRequest, report: Report | None, *, first: bool, engine: str | None = None) -> Supersedes:
    """Return whether `stored` supersedes. `report`: the one stored under its id, None if it was looked for in vain.

    `first`: no earlier request with its id is stored. `engine`: with which the node speaks, None if that is not known
    here; then the claim of a request that names one shows that it is valid.
    """
    request = stored.request
    if request is None or not request.supersede:
        return Supersedes.NO
    claimed_first = request.engine is not None or request.redeliver_of is not None
    if report is not None:
        refused = claimed_first and report.error is not None and report.error.code == "invalid_request"
        return Supersedes.YES if report.request_seq == stored.sequence and not refused else Supersedes.NO
    if request.redeliver_of is not None:
        return Supersedes.UNKNOWN
    if request.engine is not None and engine is not None and not request.spoken_with(engine):
        return Supersedes.NO
    known = request.engine is None or engine is not None
    return Supersedes.YES if first and known else Supersedes.UNKNOWN


def as_cancel(stored: StoredRequest) -> StoredCancel:
    """Return the cancel of the whole session that a superseding request counts as."""
    return StoredCancel.of_session(stored.sequence, stored.session, stored.stored_at_s)
