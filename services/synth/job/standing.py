"""Decides from the number of messages in the audio subject whether an attempt still counts. Pure.

Readers follow the latest `start`. A synth that was frozen, or cut off from NATS, may continue an attempt that another
synth has superseded. Readers ignore what it stores then, so it must send neither an ack nor `in_progress`.
The synth knows how many messages the subject had when its own `start` was stored, and how many it has added. If the
subject has exactly that many, nobody else has written to it, so there is no later `start`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.jetstream.tally import Tally


class Evidence(Enum):
    """What a message count proves about an attempt."""

    ALONE = "nobody else has written since its start: the attempt counts"
    OPEN = "own messages are not acked yet: no sign of another writer, but no proof"
    READ = "another writer is possible: the subject must be read to look for a later start"


@dataclass(slots=True)
class Trail:
    """What the synth with the latest attempt knows about the request's audio subject."""

    first: int
    """Sequence of the first message of the subject."""
    before: int
    """Number of messages of the subject up to this attempt's `start`, included."""
    sent: int = 0
    """Number of messages that this attempt has published since its `start`."""
    stored: int = 0
    """Number of these that the stream has acked. It stores each one once, because each has a message id."""

    def on_sent(self) -> None:
        """Call this before each publish."""
        self.sent += 1

    def on_stored(self) -> None:
        """Call this for each ack."""
        self.stored += 1


def evidence_of(at_request: Trail, at_answer: Trail, tally: Tally) -> Evidence:
    """What `tally` proves. `at_request` is the trail when the count was requested, `at_answer` when the answer came."""
    if tally.first_seq > at_request.first:
        return Evidence.READ  # some messages may have expired, and the same number may have come from another writer
    if not at_request.before + at_request.stored <= tally.messages <= at_answer.before + at_answer.sent:
        return Evidence.READ
    return Evidence.ALONE if at_request.stored == at_answer.sent else Evidence.OPEN
