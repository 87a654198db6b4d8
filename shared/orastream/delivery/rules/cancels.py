"""The stored cancels of a session, and when to delete each. Pure; times are monotonic seconds.

A cancel is deleted when no request before it is stored: if it were deleted earlier and this process died, the next
owner would deliver a cancelled request. Over protocol v2 OraServer must have answered it, too: it may have audio of
delivered utterances that is not played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orastream.contract.stored_requests import StoredCancel
from orastream.delivery.rules.session_outcomes import CancelOutcome

RETRY_DROP_S = 1.0
"""Seconds until a cancel that was not deleted is tried again."""
_AWAITED = float("inf")


@dataclass(slots=True)
class Cancels:
    """The cancels of one session by stream sequence. `lowest`: the sequence of its first request that is not closed."""

    announces: bool = False
    """Whether OraServer may have to know each cancel."""
    _stored: dict[int, StoredCancel] = field(default_factory=dict)
    _new: list[StoredCancel] = field(default_factory=list)
    """Those that `take_new` returns next."""
    _unanswered: set[int] = field(default_factory=set)
    """Sequences of those that OraServer has not answered."""
    _retry_at: dict[int, float] = field(default_factory=dict)
    """For a cancel that `due` has returned: when to return it again; infinity while its outcome is awaited."""

    def __bool__(self) -> bool:
        return bool(self._stored)

    def __iter__(self) -> Iterator[StoredCancel]:
        return iter(self._stored.values())

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._stored

    def add(self, stored: StoredCancel) -> None:
        """Add a stored cancel. May be called repeatedly."""
        if self.announces and stored.cancel is not None and stored.sequence not in self._stored:
            self._new.append(stored)
            self._unanswered.add(stored.sequence)
        self._stored[stored.sequence] = stored

    def take_new(self) -> list[StoredCancel]:
        """Return the cancels to announce to OraServer now, each once."""
        new, self._new = self._new, []
        return new

    def await_answer(self, sequence: int) -> None:
        """A request that counts as a cancel is announced."""
        self._unanswered.add(sequence)

    def awaits_answer(self, sequence: int) -> bool:
        """Whether OraServer has not answered this cancel, or request that counts as one."""
        return sequence in self._unanswered

    def answered(self, sequence: int) -> None:
        """OraServer has answered the cancel, or cannot be reached: nothing more is done about it."""
        self._unanswered.discard(sequence)

    def due(self, now: float, lowest: int | None) -> list[int]:
        """Return the sequences of the cancels to delete now: each once, and again if it was kept."""
        found = [s for s in self._stored if self._deletable(s, lowest) and now >= self._retry_at.get(s, 0.0)]
        self._retry_at.update(dict.fromkeys(found, _AWAITED))
        return found

    def next_time(self, lowest: int | None) -> float | None:
        """When to try a kept cancel again, or None."""
        times = (at for s, at in self._retry_at.items() if at != _AWAITED and self._deletable(s, lowest))
        return min(times, default=None)

    def apply(self, outcome: CancelOutcome, now: float) -> None:
        """Forget a cancel that is deleted; `due` returns one that was not deleted again after RETRY_DROP_S seconds."""
        if outcome.dropped:
            self._stored.pop(outcome.sequence, None)
            self._retry_at.pop(outcome.sequence, None)
        else:
            self._retry_at[outcome.sequence] = now + RETRY_DROP_S

    def _deletable(self, sequence: int, lowest: int | None) -> bool:
        return (lowest is None or lowest > sequence) and sequence not in self._unanswered
