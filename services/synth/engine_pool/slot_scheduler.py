"""Which task gets the next free slot of an engine: the one whose listener runs out of audio first. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

E = TypeVar("E", bound=Hashable)
W = TypeVar("W", bound=Hashable)


def shares(slots: int, at_once: int, scales: bool) -> list[int]:
    """Returns the number of slots of each process: `slots` in all, spread evenly, at most `at_once` in a process.

    An engine that does not scale has one process, and so at most `at_once` slots.
    """
    if not scales:
        return [min(slots, at_once)]
    processes = -(-slots // at_once)
    even, more = divmod(slots, processes)
    return [even + (number < more) for number in range(processes)]


@dataclass(slots=True)
class _Engine:
    slots: int
    taken: int = 0
    retired: bool = False


class SlotScheduler(Generic[E, W]):
    """Free slots of engines, and the tasks that wait for one. Call `pair` after each change."""

    def __init__(self) -> None:
        self._engines: dict[E, _Engine] = {}
        self._waiting: dict[W, float] = {}  # in the order of asking

    def open(self, engine: E, slots: int) -> None:
        """Adds an engine with that many slots."""
        self._engines[engine] = _Engine(slots)

    def ask(self, waiter: W, due_s: float) -> None:
        """Adds a waiter that needs a slot at `due_s`."""
        self._waiting[waiter] = due_s

    def leave(self, waiter: W) -> bool:
        """Removes a waiter; returns False if it already got a slot."""
        return self._waiting.pop(waiter, None) is not None

    def pair(self) -> tuple[W, E] | None:
        """Takes a slot of the least busy engine for the next waiter and returns both; None if nothing can be paired.

        The waiter with the earliest `due_s` comes first; of equal ones, the one that asked first.
        """
        engine = min(
            (engine for engine, it in self._engines.items() if not it.retired and it.taken < it.slots),
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
        """Frees a slot. Returns True if that was the last taken slot of a retired engine, which is removed then."""
        self._engines[engine].taken -= 1
        return self._forget_if_empty(engine)

    def retire(self, engine: E) -> bool:
        """Gives out no more slots of this engine. Returns True if none is taken: it is removed then. Idempotent."""
        if engine not in self._engines:
            return False
        self._engines[engine].retired = True
        return self._forget_if_empty(engine)

    def clear(self) -> list[W]:
        """Removes and returns all waiters."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _forget_if_empty(self, engine: E) -> bool:
        it = self._engines[engine]
        if it.taken or not it.retired:
            return False
        del self._engines[engine]
        return True
