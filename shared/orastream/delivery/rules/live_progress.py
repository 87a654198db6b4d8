"""How far the utterances of a session are that are delivered or heard, for `tts.progress`. Pure; monotonic seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.heard import HeardBy
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.utterance_effects import Finished

MAX_UTTERANCES = 64
"""How many utterances of a session are kept. The oldest, whose play ends first, is forgotten."""


class DeliveryFigures(NamedTuple):
    """A look at a delivery. `sent_s`, `acked_s` and `total_s` are seconds of the utterance."""

    sent_s: float
    acked_s: float
    total_s: float | None
    retransmitted_bytes: int
    played_by: HeardBy | None
    """None: no link is open now. Then that of the last look counts."""


@dataclass(slots=True)
class _Live:
    stored: StoredRequest
    figures: Callable[[], DeliveryFigures] | None
    """Looks at the delivery; None when it has ended."""
    last: DeliveryFigures

    def look(self) -> None:
        """Note the present state of the delivery."""
        if self.figures is not None:
            new, old = self.figures(), self.last
            acked_s = max(new.acked_s, old.acked_s)
            self.last = new._replace(
                sent_s=max(new.sent_s, old.sent_s, acked_s),
                acked_s=acked_s,
                played_by=old.played_by if new.played_by is None else new.played_by,
            )


@dataclass(slots=True)
class LiveUtterances:
    """The utterances of one session whose first audio was sent and whose play has not ended, by sequence."""

    book: HeardBook
    """What the session's listener hears."""
    _live: dict[int, _Live] = field(default_factory=dict)

    def begin(self, stored: StoredRequest, figures: Callable[[], DeliveryFigures]) -> None:
        """The first audio of an utterance was sent. `figures` is called until `delivery_over`."""
        sequence = stored.sequence
        if sequence in self._live:  # its delivery begins again
            self._live[sequence].figures = figures
            return
        while len(self._live) >= MAX_UTTERANCES:
            del self._live[min(self._live)]
        self._live[sequence] = _Live(stored, figures, figures())

    def delivery_over(self, sequence: int, finished: Finished | None) -> None:
        """The delivery has ended. `finished` None: not with a final status, so another owner may go on."""
        if (live := self._live.get(sequence)) is None:
            return
        if finished is None:
            del self._live[sequence]
            return
        live.look()
        live.figures = None

    def forget(self, sequence: int) -> None:
        """Forget an utterance, if it is known."""
        self._live.pop(sequence, None)

    def clear(self) -> None:
        """Forget all utterances: this bridge has released the session."""
        self._live.clear()

    def stored(self, sequence: int) -> StoredRequest | None:
        """The request of an utterance; None if it is not known."""
        return self._live[sequence].stored if sequence in self._live else None

    def ended(self) -> list[int]:
        """The utterances of which nothing more is heard."""
        return [sequence for sequence in self._live if self._done(sequence)]

    def progress(self, sequence: int, now: float) -> DeliveryProgress:
        """How far an utterance is now. Raises KeyError for one that is not known."""
        live = self._live[sequence]
        live.look()
        seen, stored = live.last, live.stored
        sent_ms = round(seen.sent_s * 1000)
        played_ms = self.book.played_ms(sequence, now)
        return DeliveryProgress(
            request_id=stored.request_id,
            session_id=stored.session_id,
            request_seq=stored.sequence,
            sent_ms=sent_ms,
            acked_ms=round(seen.acked_s * 1000),
            played_ms=None if played_ms is None else min(played_ms, sent_ms),
            played_by=seen.played_by or "unknown",
            total_ms=None if seen.total_s is None else round(seen.total_s * 1000),
            retransmitted_bytes=seen.retransmitted_bytes,
            done=self._done(sequence),
        )

    def _done(self, sequence: int) -> bool:
        return self._live[sequence].figures is None and self.book.over(sequence)
