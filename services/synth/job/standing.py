"""Whether an attempt still counts, judged by how many messages its audio subject holds. Pure.

Readers follow the latest `start`. A synth that was frozen, or cut off from NATS, may go on with an attempt that another
synth has superseded meanwhile: what it stores is ignored, so it must neither ack the request nor keep it from others.
The synth knows how many messages the subject held when its own `start` was stored, and how many it has added. If the
subject holds exactly as many, then nobody else has written, so no later `start` exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orastream.jetstream.tally import Tally


class Evidence(Enum):
    """What a count says about an attempt."""

    ALONE = "nobody else has written since its start: it counts"
    OPEN = "messages of its own are on their way: no sign of anybody else, and no proof either"
    READ = "somebody else may have written: only reading the subject tells whether a start is among that"


@dataclass(slots=True)
class Trail:
    """What is known of a request's audio subject by the synth that has opened the latest attempt."""

    first: int
    """Sequence of the first message of the subject."""
    before: int
    """Messages of the subject up to this attempt's start, which is included."""
    sent: int = 0
    """Messages that this attempt has published since."""
    stored: int = 0
    """Of these, how many the stream has acked. It stores each once, since each has a message id."""

    def on_sent(self) -> None:
        """One more message is about to be published."""
        self.sent += 1

    def on_stored(self) -> None:
        """One more message was acked."""
        self.stored += 1


def weigh(asked: Trail, now: Trail, tally: Tally) -> Evidence:
    """What `tally` proves; `asked` is the trail as it was when the count was asked for, `now` as it is since."""
    if tally.first_seq > asked.first:
        return Evidence.READ  # messages of the subject may have expired, and others have taken their place in the count
    if not asked.before + asked.stored <= tally.messages <= now.before + now.sent:
        return Evidence.READ
    return Evidence.ALONE if asked.stored == now.sent else Evidence.OPEN
