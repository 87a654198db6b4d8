"""Barge-ins over a connection of protocol v2, until OraServer has answered them. Pure; monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.oraserver.from_server import UtterancesCleared
from orastream.delivery.rules.streams.stream_terms import SILENT_S


@dataclass(slots=True, eq=False)
class PendingCancel:
    """A `cancel` that was sent, or will be, over this connection."""

    message: CancelUtterances
    answer_due: float | None = None
    """When the connection breaks without an answer; None before it is sent."""
    cleared: UtterancesCleared | None = None
    stale: bool = False
    """OraServer knows a newer owner of the session."""
    lost: bool = False
    """The connection ended before the answer, or OraServer could not carry it out: it has to be sent again."""

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.cleared is not None or self.stale or self.lost


class PendingCancels:
    """The cancels that were sent over a connection and have no answer yet."""

    def __init__(self) -> None:
        self._sent: list[PendingCancel] = []

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def next_time(self) -> float | None:
        """When the first of them has waited too long."""
        return min((cancel.answer_due for cancel in self._sent if cancel.answer_due is not None), default=None)

    def sent(self, cancel: PendingCancel, now: float) -> None:
        """It is sent now."""
        cancel.answer_due = now + SILENT_S
        self._sent.append(cancel)

    def answered(self, cleared: UtterancesCleared) -> PendingCancel | None:
        """OraServer has answered: return the cancel, None if none was asked for."""
        wanted = (cleared.session, cleared.before, cleared.seq)
        for cancel in self._sent:
            if (cancel.message.session, cancel.message.before, cancel.message.seq) == wanted:
                cancel.cleared = cleared
                self._sent.remove(cancel)
                return cancel
        return None

    def refused(self, session: str, *, stale: bool) -> list[PendingCancel]:
        """OraServer has refused the cancels of this session; `stale`: it knows a newer owner. Return them."""
        refused = [cancel for cancel in self._sent if cancel.message.session == session]
        for cancel in refused:
            cancel.stale, cancel.lost = stale, not stale
            self._sent.remove(cancel)
        return refused

    def give_up(self, now: float) -> list[PendingCancel]:
        """Return the cancels that have waited too long for their answer: they have to be sent again."""
        late = [cancel for cancel in self._sent if cancel.answer_due is not None and now >= cancel.answer_due]
        for cancel in late:
            cancel.lost = True
            self._sent.remove(cancel)
        return late

    def lose(self) -> list[PendingCancel]:
        """The connection has ended. Return the cancels that have no answer."""
        lost, self._sent = self._sent, []
        for cancel in lost:
            cancel.lost = True
        return lost


def covers(cancel: CancelUtterances, session: str, seq: int) -> bool:
    """Whether a `cancel` ends the utterance with this sequence."""
    if cancel.session != session:
        return False
    return seq == cancel.seq if cancel.before is None else seq < cancel.before
