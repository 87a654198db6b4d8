"""The stored cancels of a session, and when to delete each. Pure; times are monotonic seconds.

A cancel is deleted when no request before it is stored: if it were deleted earlier and this process died, the next
owner would deliver a cancelled request.
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

    _stored: dict[int, StoredCancel] = field(default_factory=dict)
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
        self._stored[stored.sequence] = stored

    def due(self, now: float, lowest: int | None) -> list[int]:
        """Return the sequences of the cancels to delete now: each once, and again if it was kept."""
        found = [s for s in self._stored if _deletable(s, lowest) and now >= self._retry_at.get(s, 0.0)]
        self._retry_at.update(dict.fromkeys(found, _AWAITED))
        return found

    def next_time(self, lowest: int | None) -> float | None:
        """When to try a kept cancel again, or None."""
        times = (at for s, at in self._retry_at.items() if at != _AWAITED and _deletable(s, lowest))
        return min(times, default=None)

    def apply(self, outcome: CancelOutcome, now: float) -> None:
        """Forget a cancel that is deleted; `due` returns one that was not deleted again after RETRY_DROP_S seconds."""
        if outcome.dropped:
            self._stored.pop(outcome.sequence, None)
            self._retry_at.pop(outcome.sequence, None)
        else:
            self._retry_at[outcome.sequence] = now + RETRY_DROP_S


def _deletable(sequence: int, lowest: int | None) -> bool:
    return lowest is None or lowest > sequence
