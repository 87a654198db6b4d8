"""Which messages of a caller the relay has taken, and their order. Pure, but for the tasks that it orders.

The messages of a session are handled one after the other, in the order in which they came: a cancel must not overtake
the request before it, nor fall behind the one after it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MAX_WAITING = 256
"""Messages of one kind of one account that are not answered yet."""
MAX_BYTES = 8 << 20
"""Their payloads together."""


@dataclass(slots=True)
class Lane:
    """The messages of one kind (requests, cancels) of one account."""

    waiting: int = 0
    size: int = 0

    def enter(self, size: int) -> str | None:
        """Take a message of `size` bytes. Returns why there is no room, or None; then call `leave` in the end."""
        if self.waiting >= MAX_WAITING or self.size + size > MAX_BYTES:
            return f"{self.waiting} messages of this caller wait to be stored; wait for some of them"
        self.waiting += 1
        self.size += size
        return None

    def leave(self, size: int) -> None:
        """A message was answered."""
        self.waiting -= 1
        self.size -= size


class SessionOrder:
    """Orders the tasks of each session. For one event loop."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], asyncio.Task[None]] = {}

    def follow(self, account: str, session: str, task: asyncio.Task[None]) -> asyncio.Task[None] | None:
        """`task` is the newest of its session. Returns the one before it, for which it must wait; None without one."""
        key = (account, session)
        before = self._last.get(key)
        self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))
        return before

    def _forget(self, key: tuple[str, str], done: asyncio.Task[None]) -> None:
        if self._last.get(key) is done:
            del self._last[key]
