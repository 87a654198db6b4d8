"""What comes later at a `FakeNode`: in the event loop of the client that asked for it, after its end in a thread.

Without the thread, a client that is closed right after its call would leave its request, and all later ones of the
session, without an end.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol


class Sender(Protocol):
    """The connection of a client."""

    def later(self, delay_s: float, call: Callable[[], None]) -> bool:
        """Call `call` in its event loop after so many seconds. False: it is closed, and does not call it."""
        ...


@dataclass(frozen=True, slots=True)
class _Timer:
    sender: Sender
    due: float
    call: Callable[[], None]
    wanted: Callable[[], bool]


class Timers:
    """The calls that have not come yet. `lock` is held during each call; hold it to use this, too."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._numbers = itertools.count()
        self._timers: dict[int, _Timer] = {}
        self._due: deque[int] = deque()
        self._late: set[int] = set()
        """Those that have no event loop, and are not due yet."""
        self._changed = threading.Condition(lock)
        self._thread: threading.Thread | None = None

    def add(self, sender: Sender, delay_s: float, call: Callable[[], None], wanted: Callable[[], bool]) -> None:
        """Call `call` after so many seconds, if it is still `wanted` then."""
        number = next(self._numbers)
        self._timers[number] = _Timer(sender, time.monotonic() + delay_s, call, wanted)
        if not sender.later(delay_s, partial(self._run, number)):
            self._without_sender(number)

    def closed(self, sender: Sender) -> None:
        """A connection is closed: `settle` goes on without its event loop."""
        left = [number for number, timer in self._timers.items() if timer.sender is sender]
        for number in sorted(left, key=lambda number: (self._timers[number].due, number)):
            self._without_sender(number)

    def settle(self) -> None:
        """Make the calls that are due and have no event loop, and those that follow; a thread waits for the others."""
        while self._due:
            number = self._due.popleft()
            self._late.discard(number)
            timer = self._timers.pop(number, None)
            if timer is not None and timer.wanted():
                timer.call()
        if self._late and self._thread is None and self._next_due() is not None:
            self._thread = threading.Thread(target=self._wait, name="orastream-fake-node", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _without_sender(self, number: int) -> None:
        if self._timers[number].due <= time.monotonic():
            self._due.append(number)
        else:
            self._late.add(number)

    def _next_due(self) -> float | None:
        """When the thread has to make a call. Most time limits are not wanted any more: forget them."""
        for number in [number for number in self._late if not self._timers[number].wanted()]:
            self._late.discard(number)
            del self._timers[number]
        return min((self._timers[number].due for number in self._late), default=None)

    def _wait(self) -> None:
        with self._changed:
            try:
                while (due := self._next_due()) is not None:
                    now = time.monotonic()
                    if due > now:
                        self._changed.wait(due - now)
                        continue
                    self._due.extend(sorted(number for number in self._late if self._timers[number].due <= now))
                    self.settle()
            finally:
                self._thread = None

    def _run(self, number: int) -> None:
        with self._lock:
            self._due.append(number)
            self.settle()
