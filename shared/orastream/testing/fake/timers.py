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
        self._late: deque[int] = deque()
        """Those that have no event loop, and are not due yet."""

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
            timer = self._timers.pop(self._due.popleft(), None)
            if timer is not None and timer.wanted():
                timer.call()
        while self._late:
            self._wait_for(self._late.popleft())

    def _without_sender(self, number: int) -> None:
        due = self._timers[number].due <= time.monotonic()
        (self._due if due else self._late).append(number)

    def _wait_for(self, number: int) -> None:
        timer = self._timers.get(number)
        if timer is None or not timer.wanted():  # most time limits are not needed any more
            self._timers.pop(number, None)
            return
        thread = threading.Timer(max(0.0, timer.due - time.monotonic()), self._run, (number,))
        thread.daemon = True
        thread.start()

    def _run(self, number: int) -> None:
        with self._lock:
            self._due.append(number)
            self.settle()
