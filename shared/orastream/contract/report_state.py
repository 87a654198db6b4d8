"""A stored report, and what a conflict with it means for a writer. Pure.

A final report is never overwritten, so that a request has exactly one. A writer whose `epoch` is lower than that of the
stored report must stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.contract.stored_requests import Message


class Verdict(Enum):
    """Result of a try to write a report."""

    WRITTEN = "written"
    FINAL = "another final report is stored; stop"
    DUPLICATE = "another request with the same id has a report; stop"
    SUPERSEDED = "a writer with a higher epoch has written; stop"


@dataclass(frozen=True, slots=True)
class ReportState:
    """A stored report, its stream sequence (`revision`) and its time in unix seconds of the server's clock."""

    report: Report
    revision: int
    stored_at_s: float


def state_of(stored: Message) -> ReportState | None:
    """Return the report in a stored message, or None if it cannot be decoded."""
    try:
        return ReportState(Report.decode(stored.data), stored.sequence, stored.time_s)
    except (Undecodable, ValueError):
        return None


def judge(stored: Report, mine: Report) -> Verdict | None:
    """Return what a conflict with `stored` means for the writer of `mine`. None: overwrite it."""
    if stored.request_seq != mine.request_seq:
        return Verdict.DUPLICATE
    if stored == mine:
        return Verdict.WRITTEN  # by an earlier try whose ack was lost
    if stored.final:
        return Verdict.FINAL
    if stored.epoch > mine.epoch:
        return Verdict.SUPERSEDED
    return None
