"""What a session's machine says is to be done. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.messages import ReportError, Status
from orastream.delivery.rules.entry import Entry


@dataclass(frozen=True, slots=True)
class Begin:
    """Deliver this request now: all before it are final."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Stop:
    """A request that was begun is cancelled, or was ended by someone else: nothing more of it may leave."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class End:
    """Write this final report, then tidy up; if `unclaimed`, only if no report stands."""

    entry: Entry
    status: Status
    error: ReportError | None = None

    @property
    def unclaimed(self) -> bool:
        """Whether it is ours to end only as long as nobody has claimed it."""
        return self.status == "expired" or self.entry.transport == "none"


@dataclass(frozen=True, slots=True)
class Tidy:
    """Final but perhaps still stored: tell `replyTo`, delete the request. A duplicate gets the existing report."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Inspect:
    """It blocks others and does not move: see whether its audio has ended; answer with `stuck` if so."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class DropCancel:
    """A cancel that seems to have done its work: delete it unless the stream still holds a request before it.

    Answer with `cancel_dropped` or, to be asked again, `cancel_kept`.
    """

    sequence: int


@dataclass(frozen=True, slots=True)
class CheckStored:
    """Nothing was heard of this request for long: answer with `tidied` if it is not stored any more."""

    entry: Entry


Effect = Begin | Stop | End | Tidy | Inspect | DropCancel | CheckStored
