"""The outcomes of a session's effects. The runtime passes them to `Session.apply`. Pure.

Each effect that waits for NATS has one outcome, or none if the machine returns the effect again later by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from orastream.contract.report_state import ReportState, Verdict
from orastream.delivery.rules.entry import Entry


class Purpose(Enum):
    """Why a report was written."""

    CHECKPOINT = "the progress of a delivery"
    FENCE = "the first report with this owner's epoch"
    DELIVERY_END = "the final report of a delivery"
    END = "the final report of a request that is not being delivered (the effect `End`)"


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """NATS answered a write of a report. `state` is the report stored now, whether this owner or another wrote it."""

    entry: Entry
    purpose: Purpose
    verdict: Verdict
    state: ReportState

    @property
    def ended_here(self) -> bool:
        """Whether this owner wrote the final report."""
        return self.verdict is Verdict.WRITTEN and self.state.report.final


@dataclass(frozen=True, slots=True)
class Tidied:
    """The final report was sent to `replyTo` and the request is deleted; or it was not stored any more."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class NotStored:
    """`CheckStored` found that the request is not stored any more, and no final report came."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class TidyFailed:
    """NATS did not answer `Tidy`, or a request is stored that this one supersedes."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Inspected:
    """What `Inspect` found. `lives`: a living bridge owns the session for it. Both are False if NATS did not answer."""

    entry: Entry
    lives: bool
    audio_ended: bool


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """Whether the cancel at `sequence` is deleted. If not, a request before it is stored, or NATS did not answer."""

    sequence: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class CancelAnnounced:
    """OraServer has answered the cancel at `sequence`, does not need to know it, or cannot be reached."""

    sequence: int
    played_ms: Mapping[int, int] | None = None
    """How much was played of each utterance that it has ended, by sequence. None: OraServer has not said it."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What `LookUp` found: the stored report, or None. Nothing is known if NATS has not `answered`."""

    entry: Entry
    state: ReportState | None
    answered: bool = True


SessionOutcome = (
    ReportWritten | Tidied | NotStored | TidyFailed | Inspected | CancelOutcome | CancelAnnounced | LookedUp
)
