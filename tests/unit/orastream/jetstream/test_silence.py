"""When a feed reads although no message came: on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from orastream.jetstream import silence
from orastream.jetstream.silence import MAX_SILENCE_S, SILENCE_S, SilenceWatch

pytestmark = pytest.mark.unit


class Clock:
    """The part of an event loop that the watch uses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self, at, callback)
        self.timers.append(timer)
        return timer

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer.at <= until]:
            timer = min(due, key=lambda one: one.at)
            self.timers.remove(timer)
            self.now = max(self.now, timer.at)
            timer.callback()
        self.now = until


class Timer:
    """Without `when`, like uvloop's handle of a call that is due at once."""

    def __init__(self, clock: Clock, at: float, callback: Callable[[], None]) -> None:
        self.clock, self.at, self.callback = clock, at, callback

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(silence.asyncio, "get_running_loop", lambda: fake)
    return fake


def watch(clock: Clock, *, expecting: bool = True, at_rest_s: float | None = None) -> tuple[SilenceWatch, list[float]]:
    calls: list[float] = []
    watched = SilenceWatch(lambda: calls.append(clock.now - 100.0), expecting=expecting, at_rest_s=at_rest_s)
    watched.start()
    return watched, calls


def test_a_silence_is_noticed_after_two_then_four_then_every_eight_seconds(clock: Clock) -> None:
    _, calls = watch(clock)
    clock.pass_time(40)
    assert calls == [2, 6, 14, 22, 30, 38] and (SILENCE_S, MAX_SILENCE_S) == (2, 8)


def test_the_silence_begins_with_the_last_message(clock: Clock) -> None:
    """Messages every second: no call. Before, a timer of two seconds ran whatever came."""
    watched, calls = watch(clock)
    for _ in range(10):
        clock.pass_time(1)
        watched.heard()
    assert calls == []
    clock.pass_time(7)
    assert calls == [12, 16]


def test_at_rest_it_calls_rarely_or_never(clock: Clock) -> None:
    _, calls = watch(clock, expecting=False, at_rest_s=60.0)
    clock.pass_time(130)
    assert calls == [60, 120]
    _, never = watch(clock, expecting=False)
    clock.pass_time(1e6)
    assert never == []


def test_from_the_moment_at_which_a_message_is_expected_the_short_time_counts(clock: Clock) -> None:
    watched, calls = watch(clock, expecting=False, at_rest_s=60.0)
    clock.pass_time(50)
    watched.expecting = True
    clock.pass_time(3)
    assert calls == [52]
    watched.expecting = False
    clock.pass_time(50)
    assert calls == [52], "sixty seconds after the last one"
    clock.pass_time(10)
    assert calls == [52, 112]


def test_after_stop_nothing_is_called_and_nothing_is_kept(clock: Clock) -> None:
    watched, calls = watch(clock)
    watched.stop()
    watched.expecting = False
    watched.expecting = True
    clock.pass_time(100)
    assert calls == [] and clock.timers == []


async def test_with_a_real_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "SILENCE_S", 0.02)
    called = asyncio.Event()
    watched = SilenceWatch(called.set, expecting=True, at_rest_s=None)
    watched.start()
    async with asyncio.timeout(5):
        await called.wait()
    watched.stop()
