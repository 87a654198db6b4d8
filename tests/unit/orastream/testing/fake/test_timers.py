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
    timers, sender, made = Timers(threading.RLock()), Sender(), list[str]()
    for name in ("by the loop", "at its end"):
        timers.add(sender, 0.0, lambda name=name: made.append(name), always)  # type: ignore[misc]
    sender.calls[0]()
    sender.open = False
    timers.closed(sender)
    assert made == ["by the loop"], "a call was made in the middle of another one"
    timers.settle()
    for call in sender.calls:  # an event loop that was not closed after all
        call()
    timers.add(sender, 0.0, lambda: made.append("closed before"), always)
    timers.settle()
    assert made == ["by the loop", "at its end", "closed before"]


def test_a_thread_waits_only_for_what_is_still_wanted() -> None:
    timers, sender, made = Timers(threading.RLock()), Sender(), threading.Event()
    timers.add(sender, 3600.0, made.set, lambda: False)
    sender.open = False
    timers.closed(sender)
    before = threading.active_count()
    timers.settle()
    assert threading.active_count() == before
    timers.add(sender, 0.01, made.set, always)
    timers.settle()
    assert made.wait(5)
