"""Which request is spoken next. Callers take turns, and so do the sessions of each caller. Pure.

So one session with many requests cannot starve others, nor can one caller with many sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_REMEMBERED = 4096


class FairQueue(Generic[T]):
    """Waiting items by caller and session.

    `take` is round-robin over the callers, over the sessions of a caller, and by sequence within a session. A session
    that several callers use belongs to the one whose item was put first, as long as items of it wait.

    A caller and a session keep their positions while none of their items waits here. Else an item that was nak'ed and
    is redelivered would wait behind sessions that have had a turn since. Not thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, T]] = {}
        self._callers: dict[str, str] = {}
        """The caller of each session with a waiting item."""
        self._places = Places()
        self._caller_places = Places()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, session: str, sequence: int, item: T, caller: str = "") -> None:
        """Adds an item. It replaces one with the same sequence (an earlier delivery of the same message)."""
        self._waiting.setdefault(session, {})[sequence] = item
        self._places.add(session, self._waiting.keys)
        self._caller_places.add(self._callers.setdefault(session, caller), self._callers.values)

    def take(self, may: Callable[[T], bool] = lambda _: True) -> T | None:
        """Takes out the next item that `may` allows; None if there is none.

        Its session and its caller move to the end of their rounds. A session whose first item is not allowed is passed
        over, and keeps its place.
        """
        if not self.can_take(may):  # nearly always so for requests of a dead synth: cheaper than to sort
            return None
        for session in self._in_turn():
            sequence = min(self._waiting[session])
            if may(self._waiting[session][sequence]):
                self._caller_places.to_end(self._callers[session])
                self._places.to_end(session)
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
        turns: dict[str, list[tuple[bool, int, int, str, int]]] = {}
        for session, items in self._waiting.items():
            blocked = False
            for turn, sequence in enumerate(sorted(items)):
                blocked = blocked or not may(items[sequence])
                of_caller = turns.setdefault(self._callers[session], [])
                of_caller.append((blocked, turn, self._places[session], session, sequence))
        rounds = [
            (blocked, number, self._caller_places[caller], session, sequence)
            for caller, of_caller in turns.items()
            for number, (blocked, _, _, session, sequence) in enumerate(sorted(of_caller))
        ]
        return [(session, sequence, self._waiting[session][sequence]) for *_, session, sequence in sorted(rounds)]

    def all(self) -> list[T]:
        """Returns all waiting items."""
        return [item for items in self._waiting.values() for item in items.values()]

    def clear(self) -> list[T]:
        """Takes out all items."""
        items = self.all()
        self._waiting.clear()
        self._callers.clear()
        return items

    def has(self, session: str, sequence: int, item: T) -> bool:
        """Whether that item waits here."""
        return self._waiting.get(session, {}).get(sequence) is item

    def discard(self, session: str, sequence: int, item: T) -> bool:
        """Takes out that item. Returns False if it is not there any more."""
        if not self.has(session, sequence, item):
            return False
        self._remove(session, sequence)
        return True

    def _remove(self, session: str, sequence: int) -> T:
        items = self._waiting[session]
        item = items.pop(sequence)
        if not items:
            del self._waiting[session], self._callers[session]
        return item

    def _in_turn(self) -> Iterator[str]:
        """The sessions in the order of their turns. The first one, which is nearly always taken, without sorting."""
        if self._waiting:
            first = min(self._waiting, key=self._turn_of)
            yield first
            yield from (session for session in sorted(self._waiting, key=self._turn_of) if session != first)

    def _turn_of(self, session: str) -> tuple[int, int]:
        return self._caller_places[self._callers[session]], self._places[session]


class Places:
    """The positions of names in a round. It forgets names that have nothing waiting when it knows too many."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._limit = MAX_REMEMBERED
        self._next = count()

    def __getitem__(self, name: str) -> int:
        return self._places[name]

    def __len__(self) -> int:
        return len(self._places)

    def add(self, name: str, waiting: Callable[[], Iterable[str]]) -> None:
        """Gives a new name the last position. `waiting` returns the names that must not be forgotten."""
        if name in self._places:
            return
        self._places[name] = next(self._next)
        if len(self._places) > self._limit:
            kept = set(waiting())
            self._places = {name: place for name, place in self._places.items() if name in kept}
            self._limit = MAX_REMEMBERED + len(self._places)

    def to_end(self, name: str) -> None:
        """Moves a name to the last position."""
        self._places[name] = next(self._next)
