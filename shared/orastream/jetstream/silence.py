"""When a feed reads the stream although no gap shows that something is missing.

A live message can be lost without a trace: a route of a cluster drops it, and no later message of its subject comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SILENCE_S, MAX_SILENCE_S = 2.0, 8.0
"""A feed that expects messages reads again after so long without one; after each such read twice as long."""


def _nobody() -> None:
    """Who listens to a watch that was stopped."""


class SilenceWatch:
    """Calls `on_silence` when no message has come for too long, from `start` to `stop`. For one event loop.

    While messages are expected that is SILENCE_S, else `at_rest_s`, or never if that is None.
    """

    def __init__(self, on_silence: Callable[[], None], *, expecting: bool, at_rest_s: float | None) -> None:
        self._on_silence = on_silence
        self._expecting = expecting
        self._at_rest_s = at_rest_s
        self._loop = asyncio.get_running_loop()  # kept: each get_running_loop is a system call (getpid)
        self._silence_s = SILENCE_S
        self._since = 0.0
        """When the last message came, or the last call of `on_silence`."""
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        """When the timer is due: uvloop's handle of a call that is due at once has no `when`."""
        self._running = False

    def start(self) -> None:
        """Begin to watch."""
        self._running, self._since = True, self._loop.time()
        self._set_timer()

    def stop(self) -> None:
        """Call `on_silence` no more, and forget it: the feed must not be kept by its own watch."""
        self._running, self._on_silence = False, _nobody
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def heard(self) -> None:
        """A message has come. On the hot path: the timer is not moved; when it ends, it is set again for the rest."""
        self._silence_s = SILENCE_S
        self._since = self._loop.time()

    @property
    def expecting(self) -> bool:
        """Whether messages are expected."""
        return self._expecting

    @expecting.setter
    def expecting(self, expecting: bool) -> None:
        if expecting is not self._expecting:
            self._expecting = expecting
            if expecting and self._running:
                self.heard()
                self._set_timer()

    @property
    def _wait_s(self) -> float | None:
        return self._silence_s if self._expecting else self._at_rest_s

    def _set_timer(self) -> None:
        if (wait_s := self._wait_s) is None:
            return
        at = self._since + wait_s
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        if (wait_s := self._wait_s) is not None and now >= self._since + wait_s:
            self._since = now
            self._silence_s = min(MAX_SILENCE_S, self._silence_s * 2)
            self._on_silence()
        self._set_timer()
