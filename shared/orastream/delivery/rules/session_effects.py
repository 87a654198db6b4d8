"""The effects that the machine of a session returns for the runtime to carry out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.messages import ReportError, Status
from orastream.contract.stored_requests import StoredCancel
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.heard_book import PlayingUtterance
from orastream.delivery.rules.speech import EndedStatus, SpeechEnd


@dataclass(frozen=True, slots=True)
class Begin:
    """Deliver this request now: all requests before it are final. Then call `delivery_ended`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the running delivery: the request was cancelled, or another process ended it. Write no more of it.

    The delivery then writes the report `cancelled`, unless a final report is stored, and ends.
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class Abandon:
    """End the running delivery at once, without a report: `End` follows.

    Do nothing if this request is not being delivered any more. Do not call `delivery_ended`: for the machine the
    delivery has ended already.
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class End:
    """Write this final report over the one at `revision` (0: none is stored). Outcome: `ReportWritten`."""

    entry: Entry
    status: Status
    error: ReportError | None = None
    revision: int = 0
    exact: bool = False
    """Write it over no other report: another bridge delivers the request, or a synth may claim it meanwhile.

    A request of unknown transport may be claimed for the other one, whose bridge then ends it.
    """


@dataclass(frozen=True, slots=True)
class Tidy:
    """Send the final report to `replyTo` and delete the request. A duplicate gets the existing report.

    `just_written`: this owner has just written the report, so the request is stored. Otherwise look first, and do
    nothing if it is not stored. Outcome: `Tidied` or `TidyFailed`.
    """

    entry: Entry
    just_written: bool = False


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look whether a bridge delivers this request of another transport, which blocks others. Outcome: `Inspected`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class DropCancel:
    """Delete this cancel, unless the stream still stores a request before it.

    Outcome: `CancelOutcome`.
    """

    sequence: int


@dataclass(frozen=True, slots=True)
class AnnounceCancel:
    """Have OraServer drop what it has of the cancelled requests, if it speaks protocol v2. Outcome: `CancelAnnounced`.

    It is returned before `Stop` and `Begin`. It may have audio of requests that are delivered, from any owner.
    """

    cancel: StoredCancel


@dataclass(frozen=True, slots=True)
class CheckStored:
    """Look whether this request is still stored: no report of it came for long. Outcome: `NotStored`, or none."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class LookUp:
    """Read the stored report under the request's id: none has come. Outcome: `LookedUp`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class EndPlayed:
    """Send the end frame of a delivered utterance that was cancelled while it plays.

    If a delivery runs on its link, the cancel covers that one too, and `Stop` follows: the frame waits until what the
    link has of it is dropped.
    """

    end: SpeechEnd


@dataclass(frozen=True, slots=True)
class EndFound:
    """Send the end frame of a request that this owner does not deliver: an earlier owner may have written chunks."""

    entry: Entry
    status: EndedStatus


@dataclass(frozen=True, slots=True)
class WriteHeard:
    """Write the record of what was heard of an utterance, as it is then. No outcome."""

    utterance: PlayingUtterance


Effect = (
    Begin
    | Stop
    | Abandon
    | End
    | Tidy
    | Inspect
    | DropCancel
    | AnnounceCancel
    | CheckStored
    | LookUp
    | EndPlayed
    | EndFound
    | WriteHeard
)
