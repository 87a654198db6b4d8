"""The effects that the machine of a session returns for the runtime to carry out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.messages import ReportError, Status
from orastream.delivery.rules.entry import Entry


@dataclass(frozen=True, slots=True)
class Begin:
    """Deliver this request now: all requests before it are final."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop delivering: the request was cancelled or ended by another process. Write no more of it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class End:
    """Write this final report, then tidy up. If `unclaimed`, write it only if no report is stored."""

    entry: Entry
    status: Status
    error: ReportError | None = None

    @property
    def unclaimed(self) -> bool:
        """Whether this bridge may end the request only while no synth has claimed it."""
        return self.status == "expired" or self.entry.transport == "none"


@dataclass(frozen=True, slots=True)
class Tidy:
    """Send the final report to `replyTo` and delete the request if stored. A duplicate gets the existing report."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Inspect:
    """Check whether the audio of this request, which blocks others, has ended. If so, call `stuck`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class DropCancel:
    """Delete this cancel, unless the stream still stores a request before it.

    Then call `cancel_dropped` or `cancel_kept`. After `cancel_kept` the effect is returned again later.
    """

    sequence: int


@dataclass(frozen=True, slots=True)
class CheckStored:
    """Call `tidied` if this request is not stored any more. No report of it came for CHECK_STORED_S seconds."""

    entry: Entry


Effect = Begin | Stop | End | Tidy | Inspect | DropCancel | CheckStored
