"""A stored report, and what a conflict with it means for a writer. Pure.

Exactly one final report per request: a final one is never overwritten, and a writer whose `epoch` is lower than that of
the stored one stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.contract.stored_requests import Message


class Verdict(Enum):
    """What became of a try to write a report."""

    WRITTEN = "written"
    FINAL = "another report stands that is not ours to change; stop"
    DUPLICATE = "the id belongs to another request"
    SUPERSEDED = "an owner with a higher epoch writes now; stop"


@dataclass(frozen=True, slots=True)
class ReportState:
    """A report as stored: its `revision` (stream sequence) and when, in unix seconds of the server."""

    report: Report
    revision: int
    stored_at_s: float


def state_of(stored: Message) -> ReportState | None:
    """The report in a stored message, or None when it is none."""
    try:
        return ReportState(Report.decode(stored.data), stored.sequence, stored.time_s)
    except (Undecodable, ValueError):
        return None


def judge(stored: Report, mine: Report) -> Verdict | None:
    """What a conflict with `stored` means for the writer of `mine`; None: write once more over it."""
    if stored.request_seq != mine.request_seq:
        return Verdict.DUPLICATE
    if stored == mine:
        return Verdict.WRITTEN  # an earlier try of ours whose answer was lost
    if stored.final:
        return Verdict.FINAL
    if stored.epoch > mine.epoch:
        return Verdict.SUPERSEDED
    return None
