"""A clock that a test moves, for the counts of `services.gateway.access.rates`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

WINDOW_BEGINS_S = 1_800_000_000.0
"""A time at which a window of the library `limits` begins: a multiple of 60 s."""


class ManualClock:
    """The time is `now`, in unix seconds; the test adds to it."""

    def __init__(self) -> None:
        self.now = WINDOW_BEGINS_S


def manual_clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """A clock that the storage of `limits` reads until the end of the test."""
    clock = ManualClock()
    monkeypatch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=lambda: clock.now))
    return clock
