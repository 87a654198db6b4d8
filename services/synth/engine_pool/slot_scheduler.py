"""Who is given the next free place in an engine: the line whose listener runs dry first. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

E = TypeVar("E", bound=Hashable)
W = TypeVar("W", bound=Hashable)


def shares(slots: int, at_once: int, scales: bool) -> list[int]:
    """The places of each process, so that there are `slots` in all, spread evenly.

    A process holds `at_once` at most. An engine that does not scale has one process, and no more places than that.
    """
    if not scales:
        return [min(slots, at_once)]
    processes = -(-slots // at_once)
    even, more = divmod(slots, processes)
    return [even + (number < more) for number in range(processes)]


@dataclass(slots=True)
class _Engine:
    places: int
    taken: int = 0
    retired: bool = False


class SlotScheduler(Generic[E, W]):
    """The places of engines, and who waits for one. `pair` brings them together; whoever changes anything asks it."""

    def __init__(self) -> None:
        self._engines: dict[E, _Engine] = {}
        self._waiting: dict[W, float] = {}  # in the order of asking

    def open(self, engine: E, places: int) -> None:
        """An engine is there, with that many places."""
        self._engines[engine] = _Engine(places)

    def ask(self, waiter: W, due_s: float) -> None:
        """Somebody waits for a place, and it is urgent from `due_s` on."""
        self._waiting[waiter] = due_s

    def leave(self, waiter: W) -> bool:
        """Somebody does not wait any more; False if they had been given a place already."""
        return self._waiting.pop(waiter, None) is not None

    def pair(self) -> tuple[W, E] | None:
        """The next one to be given a place, and the engine, the least busy one; None when there is nothing to do.

        Due first, first served; among those that are due at the same time whoever asked first.
        """
        engine = min(
            (engine for engine, it in self._engines.items() if not it.retired and it.taken < it.places),
            key=lambda engine: self._engines[engine].taken,
            default=None,
        )
        if engine is None or not self._waiting:
            return None
        waiter = min(self._waiting, key=self._waiting.__getitem__)
        del self._waiting[waiter]
        self._engines[engine].taken += 1
        return waiter, engine

    def release(self, engine: E) -> bool:
        """A place is free again; whether this was the last one taken of an engine that is retired, now forgotten."""
        self._engines[engine].taken -= 1
        return self._forget_if_empty(engine)

    def retire(self, engine: E) -> bool:
        """Nobody is given a place there any more; whether none is taken either: then it is forgotten. Idempotent."""
        if engine not in self._engines:
            return False
        self._engines[engine].retired = True
        return self._forget_if_empty(engine)

    def clear(self) -> list[W]:
        """Send everybody away who waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _forget_if_empty(self, engine: E) -> bool:
        it = self._engines[engine]
        if it.taken or not it.retired:
            return False
        del self._engines[engine]
        return True
