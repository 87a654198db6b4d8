"""Which request is spoken next. Sessions take turns, so that one with many requests cannot starve others. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_REMEMBERED = 4096


class FairQueue(Generic[T]):
    """Waiting items by session. `take` is round-robin over the sessions, and by sequence within a session.

    A session keeps its position while none of its items waits here. Else an item that was nak'ed and is redelivered
    would wait behind sessions that have had a turn since. Not thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, T]] = {}
        self._places: dict[str, int] = {}
        self._next_place = count()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, session: str, sequence: int, item: T) -> None:
        """Adds an item. It replaces one with the same sequence (an earlier delivery of the same message)."""
        self._waiting.setdefault(session, {})[sequence] = item
        if session not in self._places:
            self._places[session] = next(self._next_place)
            if len(self._places) > MAX_REMEMBERED + len(self._waiting):
                self._places = {session: place for session, place in self._places.items() if session in self._waiting}

    def take(self, may: Callable[[T], bool] = lambda _: True) -> T | None:
        """Takes out the next item that `may` allows; None if there is none. Its session moves to the end of the round.

        A session whose first item is not allowed is passed over, and keeps its place.
        """
        for session in sorted(self._waiting, key=self._places.__getitem__):
            sequence = min(self._waiting[session])
            if may(self._waiting[session][sequence]):
                self._places[session] = next(self._next_place)
                return self._remove(session, sequence)
        return None

    def surplus(
        self, keep: int, may: Callable[[T], bool] = lambda _: True, stays: Callable[[T], bool] = lambda _: False
    ) -> list[T]:
        """Takes out all but the next `keep` items of `in_order`, and but those that `stays` names."""
        rest = self.in_order(may)[keep:]
        return [self._remove(session, sequence) for session, sequence, item in rest if not stays(item)]

    def can_take(self, may: Callable[[T], bool]) -> bool:
        """Whether `take(may)` would return an item."""
        return any(may(items[min(items)]) for items in self._waiting.values())

    def in_order(self, may: Callable[[T], bool] = lambda _: True) -> list[tuple[str, int, T]]:
        """Returns session, sequence and item of all items, in the order in which they would be spoken.

        Items that `may` does not allow now, and those behind them in their sessions, are the last ones.
        """
        turns = []
        for session, items in self._waiting.items():
            blocked = False
            for turn, sequence in enumerate(sorted(items)):
                blocked = blocked or not may(items[sequence])
                turns.append((blocked, turn, self._places[session], session, sequence))
        turns.sort()
        return [(session, sequence, self._waiting[session][sequence]) for *_, session, sequence in turns]

    def all(self) -> list[T]:
        """Returns all waiting items."""
        return [item for items in self._waiting.values() for item in items.values()]

    def clear(self) -> list[T]:
        """Takes out all items."""
        items = self.all()
        self._waiting.clear()
        return items

    def discard(self, session: str, sequence: int, item: T) -> bool:
        """Takes out that item. Returns False if it is not there any more."""
        if self._waiting.get(session, {}).get(sequence) is not item:
            return False
        self._remove(session, sequence)
        return True

    def _remove(self, session: str, sequence: int) -> T:
        items = self._waiting[session]
        item = items.pop(sequence)
        if not items:
            del self._waiting[session]
        return item
