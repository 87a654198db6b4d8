"""How far the utterances of a session are that are delivered or play, for `tts.progress`. Pure; monotonic seconds.

What was played follows from when the play of what was sent ends. The session's `Listener` knows that time, over
protocol v1 only if what is heard is recorded (HEARD_RECORDS). Else it is an estimate: the phone plays at once, waits
for late chunks, plays one utterance after the other, and drops what it has at a cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.heard import HeardBy
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.utterance_effects import Finished

NEVER = float("-inf")
MAX_UTTERANCES = 64
"""How many utterances of a session are kept. The oldest, whose play ends first, is forgotten."""


class DeliveryFigures(NamedTuple):
    """A look at a delivery. `sent_s`, `acked_s` and `total_s` are seconds of the utterance."""

    sent_s: float
    acked_s: float
    total_s: float | None
    retransmitted_bytes: int
    began_at: float
    """When its play began, later by all waits for chunks."""
    by_listener: bool | None
    """Whether the `Listener` knows what is sent. None: no link is open now."""
    played_by: HeardBy
    """Without a link that of the last look counts."""


@dataclass(slots=True)
class _Live:
    stored: StoredRequest
    figures: Callable[[], DeliveryFigures] | None
    """Looks at the delivery; None when it has ended."""
    last: DeliveryFigures
    listener: Listener
    not_before: float
    """When the utterance before it ends; not used with a listener."""
    ends_at: float | None = None
    """When the play of what was sent ends, as far as known at the last look."""
    cancelled: bool = False
    """A cancel covers it. It ends the play at once, or the delivery, which ends then."""

    @property
    def cut(self) -> bool:
        """Whether a cancel has ended its play."""
        return self.cancelled and self.figures is None

    def look(self) -> None:
        """Note the present state of the delivery and of its play."""
        if self.figures is not None:
            new, old = self.figures(), self.last
            if new.by_listener is None:
                new = new._replace(by_listener=old.by_listener, played_by=old.played_by)
            acked_s = max(new.acked_s, old.acked_s)
            self.last = new._replace(sent_s=max(new.sent_s, old.sent_s, acked_s), acked_s=acked_s)
        if not self.last.by_listener:
            self.ends_at = max(self.last.began_at, self.not_before) + self.last.sent_s
        elif not self.cut and (ends_at := self.listener.ends_at(self.stored.sequence)) > NEVER:
            self.ends_at = ends_at

    def rest_s(self, now: float) -> float:
        """Seconds of what was sent that are not played."""
        return 0.0 if self.ends_at is None else max(self.ends_at - now, 0.0)

    def done(self, now: float) -> bool:
        """Whether its play has ended. Call `look` before."""
        return self.cut or (self.figures is None and self.rest_s(now) == 0.0)


@dataclass(slots=True)
class LiveUtterances:
    """The utterances of one session whose first audio was sent and whose play has not ended, by sequence."""

    _live: dict[int, _Live] = field(default_factory=dict)

    def begin(self, stored: StoredRequest, figures: Callable[[], DeliveryFigures], listener: Listener) -> None:
        """The first audio of an utterance was sent. `figures` is called until `delivery_over`."""
        sequence = stored.sequence
        if sequence in self._live:  # its delivery begins again
            self._live[sequence].figures = figures
            return
        while len(self._live) >= MAX_UTTERANCES:
            del self._live[min(self._live)]
        for live in self._live.values():
            live.look()
        before = [live.ends_at for live in self._live.values() if live.ends_at is not None and not live.cut]
        self._live[sequence] = _Live(stored, figures, figures(), listener, max(before, default=NEVER))

    def delivery_over(self, sequence: int, finished: Finished | None) -> None:
        """The delivery has ended. `finished` None: not with a final status, so another owner may go on."""
        if (live := self._live.get(sequence)) is None:
            return
        if finished is None:
            del self._live[sequence]
            return
        live.look()
        live.figures = None
        live.cancelled |= finished.status == "cancelled"

    def cancel(self, stored: StoredCancel) -> None:
        """A cancel is stored: it cuts what plays after its delivery. May be called repeatedly."""
        for sequence, live in self._live.items():
            if not live.cancelled and stored.covers(sequence, live.stored.token):
                live.look()
                live.cancelled = True

    def forget(self, sequence: int) -> None:
        """Forget an utterance, if it is known."""
        self._live.pop(sequence, None)

    def clear(self) -> None:
        """Forget all utterances: this bridge has released the session."""
        self._live.clear()

    def stored(self, sequence: int) -> StoredRequest | None:
        """The request of an utterance; None if it is not known."""
        return self._live[sequence].stored if sequence in self._live else None

    def ended(self, now: float) -> list[int]:
        """The utterances whose play has ended."""
        for live in self._live.values():
            live.look()
        return [sequence for sequence, live in self._live.items() if live.done(now)]

    def progress(self, sequence: int, now: float) -> DeliveryProgress:
        """How far an utterance is now. Raises KeyError for one that is not known."""
        live = self._live[sequence]
        live.look()
        seen, stored = live.last, live.stored
        sent_ms = round(seen.sent_s * 1000)
        played_ms = round(max(seen.sent_s - live.rest_s(now), 0.0) * 1000)
        return DeliveryProgress(
            request_id=stored.request_id,
            session_id=stored.session_id,
            request_seq=stored.sequence,
            sent_ms=sent_ms,
            acked_ms=round(seen.acked_s * 1000),
            played_ms=None if seen.played_by == "unknown" else played_ms,
            played_by=seen.played_by,
            total_ms=None if seen.total_s is None else round(seen.total_s * 1000),
            retransmitted_bytes=seen.retransmitted_bytes,
            done=live.done(now),
        )
