"""What the tasks of a session return to its loop, besides the outcomes that its machine takes."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_outcomes import SessionOutcome
from orastream.delivery.rules.utterance_effects import Confirm
from orastream.delivery.sink import Link, LinkLost


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The link for this delivery is open."""

    entry: Entry
    link: Link


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """No link could be opened for this delivery."""

    entry: Entry
    lost: LinkLost


@dataclass(frozen=True, slots=True)
class Answered:
    """OraServer has answered `asked` over `link`, or the link broke before (`failure`)."""

    entry: Entry
    link: Link
    asked: Confirm
    failure: BaseException | None


@dataclass(frozen=True, slots=True)
class CheckpointSkipped:
    """NATS did not answer the write of a checkpoint. A later checkpoint replaces it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class AudioRoomSeen:
    """The stream of audio is `full` or not; None if NATS did not answer."""

    entry: Entry
    full: bool | None


@dataclass(frozen=True, slots=True)
class OwnershipRead:
    """The owner's record was read after the lapse `lapse`. `ours` is None if NATS did not answer."""

    lapse: int
    ours: bool | None


DeliveryOutcome = LinkOpened | LinkFailed | Answered | CheckpointSkipped | AudioRoomSeen
Outcome = SessionOutcome | DeliveryOutcome | OwnershipRead
