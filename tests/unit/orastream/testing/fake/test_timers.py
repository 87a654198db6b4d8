"""What comes later at `FakeNode`, with and without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from orastream.testing.fake.timers import Timers

pytestmark = pytest.mark.unit


class Sender:
    """A connection whose event loop the test is."""

    def __init__(self) -> None:
        self.open = True
        self.calls: list[Callable[[], None]] = []

    def later(self, delay_s: float, call: Callable[[], None]) -> bool:
        """See `timers.Sender`."""
        if self.open:
            self.calls.append(call)
        return self.open


def always() -> bool:
    return True


def test_a_call_is_made_once_by_its_event_loop_or_after_its_end_by_the_next_settle() -> None:
    lock, sender, made = threading.RLock(), Sender(), list[str]()
    timers = Timers(lock)
    with lock:
        for name in ("by the loop", "at its end"):
            timers.add(sender, 0.0, lambda name=name: made.append(name), always)  # type: ignore[misc]
        timers.add(sender, 3600.0, lambda: made.append("late"), always)
        sender.calls[0]()
        sender.open = False
        timers.closed(sender)
        assert made == ["by the loop"], "a call was made in the middle of another one"
        timers.settle()
        for call in sender.calls:  # an event loop that was not closed after all
            call()
        timers.add(sender, 0.0, lambda: made.append("closed before"), always)
        timers.settle()
    assert made == ["by the loop", "at its end", "late", "closed before"]


def test_one_thread_waits_for_all_that_is_still_wanted_and_ends_with_it() -> None:
    lock, sender, made, wanted = threading.RLock(), Sender(), threading.Event(), True
    timers, before = Timers(lock), set(threading.enumerate())
    sender.open = False
    with lock:
        timers.add(sender, 3600.0, made.set, lambda: False)
        timers.settle()
        assert not set(threading.enumerate()) - before
        for _ in range(9):
            timers.add(sender, 3600.0, lambda: None, lambda: wanted)
        timers.settle()
        timers.add(sender, 0.01, made.set, always)  # earlier than what the thread waits for
        timers.settle()
        (waiting,) = set(threading.enumerate()) - before
    assert made.wait(5)
    with lock:
        wanted = False
        timers.settle()
    waiting.join(5)
    assert not waiting.is_alive()
