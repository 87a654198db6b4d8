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
    """Free slots of engines, and the tasks that wait for one. Call `pair` after each change.

    A *canary* is a waiter for a slot of one engine, at most one for each: it gets a slot that nobody else waits for, or
    the next free one after `hurry`.
    """

    def __init__(self) -> None:
        self._engines: dict[E, _Engine] = {}
        self._waiting: dict[W, float] = {}  # in the order of asking
        self._canaries: dict[E, W] = {}
        self._hurries: set[E] = set()

    @property
    def waiting(self) -> int:
        """Number of waiters without a slot, canaries aside."""
        return len(self._waiting)

    def open(self, engine: E, slots: int) -> None:
        """Adds an engine with that many slots."""
        self._engines[engine] = _Engine(slots)

    def ask(self, waiter: W, due_s: float) -> None:
        """Adds a waiter that needs a slot at `due_s`."""
        self._waiting[waiter] = due_s

    def ask_canary(self, waiter: W, engine: E) -> None:
        """Adds a waiter for a slot of that engine."""
        self._canaries[engine] = waiter

    def hurry(self, engine: E) -> None:
        """The canary of that engine, if one waits, gets the next free slot of the engine, before all others."""
        if engine in self._canaries:
            self._hurries.add(engine)

    def leave(self, waiter: W) -> bool:
        """Removes a waiter; returns False if it already got a slot."""
        for engine, canary in self._canaries.items():
            if canary == waiter:
                self._remove_canary(engine)
                return True
        return self._waiting.pop(waiter, None) is not None

    def pair(self) -> tuple[W, E] | None:
        """Takes a slot of the least busy engine for the next waiter and returns both; None if nothing can be paired.

        The waiter with the earliest `due_s` comes first; of equal ones, the one that asked first. For canaries see the
        class.
        """
        for urgent in (True, False):
            for engine, waiter in self._canaries.items():
                if self._is_free(engine) and (engine in self._hurries if urgent else not self._waiting):
                    self._remove_canary(engine)
                    self._engines[engine].taken += 1
                    return waiter, engine
        free = min(filter(self._is_free, self._engines), key=lambda engine: self._engines[engine].taken, default=None)
        if free is None or not self._waiting:
            return None
        waiter = min(self._waiting, key=self._waiting.__getitem__)
        del self._waiting[waiter]
        self._engines[free].taken += 1
        return waiter, free

    def _is_free(self, engine: E) -> bool:
        it = self._engines.get(engine)
        return it is not None and not it.retired and it.taken < it.slots

    def _remove_canary(self, engine: E) -> None:
        del self._canaries[engine]
        self._hurries.discard(engine)

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
        """Removes and returns all waiters, canaries too."""
        waiting = [*self._waiting, *self._canaries.values()]
        self._waiting.clear()
        self._canaries.clear()
        self._hurries.clear()
        return waiting

    def _forget_if_empty(self, engine: E) -> bool:
        it = self._engines[engine]
        if it.taken or not it.retired:
            return False
        del self._engines[engine]
        return True
