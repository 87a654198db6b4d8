"""What a session of a bridge keeps while it rests."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.base.wake_event import WakeEvent
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.lease import WritePermission
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.play_time import PlayTimes
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.runtime.context import BridgeContext
from orastream.delivery.runtime.deliveries import Deliveries
from orastream.delivery.runtime.heard_writer import HeardWriter
from orastream.delivery.runtime.ownership import Ownership
from orastream.delivery.runtime.progress_publisher import SessionProgress
from orastream.delivery.runtime.wakeups import Wakeups


@dataclass(slots=True)
class OwnerState:
    """What a session keeps from one `SessionRunner` to the next one."""

    ownership: Ownership
    lifetime: Lifetime
    wakeups: Wakeups
    permission: WritePermission
    deliveries: Deliveries
    wake_event: WakeEvent
    play: PlayTimes | None
    """The delivered utterances that play; None if OraServer gets no end frames."""
    book: HeardBook | None
    """What the session's listener hears; None over HTTP if that is not recorded."""
    heard: HeardWriter | None
    """Writes what was heard; None if it is not recorded."""
    progress: SessionProgress | None
    """Publishes live progress; None for a bridge that delivers whole files."""
    listener: Listener
    """What the session's listener has; also while no link is open."""

    def machine(self, context: BridgeContext, reports_since: float) -> Session:
        """Return a machine for the session. Of requests from before `reports_since` it must ask for the reports."""
        sink, epoch = context.sink, self.ownership.epoch
        announces = sink.record.announces_cancels
        return Session(sink.transport, epoch, self.lifetime, reports_since, self.play, announces, self.book)
