"""Opens a connection at the first call that needs it, once for all callers of an event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from orastream.base import tasks
from orastream.client.connect_pace import ConnectPace
from orastream.contract.errors import NodeUnavailable

T = TypeVar("T")


class SharedOpening(Generic[T]):
    """What `open_it` gives, opened at the first call. For one event loop."""

    def __init__(self, open_it: Callable[[], Awaitable[T]], ended: Callable[[T], bool] = lambda _: False) -> None:
        """`open_it` raises NodeUnavailable if it cannot be opened now, or another error, which all callers get.

        What has `ended` for good is opened anew: a server that no longer accepts a user closes its connection.
        """
        self._open_it = open_it
        self._ended = ended
        self._pace = ConnectPace()
        self._attempt: asyncio.Task[T] | None = None
        self._began_s = 0.0

    @property
    def opened(self) -> T | None:
        """What is open, or None."""
        found = None if self._attempt is None else _result(self._attempt)
        return None if found is None or self._ended(found) else found

    async def get(self) -> T:
        """Return what is open; open it first if it is not.

        Callers wait for one attempt together. After an attempt that has failed with NodeUnavailable they get that error
        at once, for a pause (`connect_pace`); then another attempt begins. Raises NodeUnavailable, also if `close` ends
        the attempt, and what `open_it` raises. Cancel-safe: the attempt goes on for the others.
        """
        clock, pace = asyncio.get_running_loop().time, self._pace
        if self._attempt is None or (self._attempt.done() and self.opened is None):
            if pace.pauses(clock()):
                raise NodeUnavailable(f"{pace.problem}")
            self._began_s = clock()
            # What is opened outlives this call: its tasks must not keep the call's trace and request.
            self._attempt = asyncio.create_task(self._opening(), context=contextvars.Context())
            self._attempt.add_done_callback(_retrieved)
        attempt = self._attempt
        if not attempt.done():
            await asyncio.wait({attempt}, timeout=pace.patience_s(self._began_s, clock()))
        if attempt.cancelled():
            raise NodeUnavailable("the client was closed before it was connected")
        if not attempt.done():
            raise NodeUnavailable(f"{pace.problem}")
        return attempt.result()

    async def close(self) -> T | None:
        """Forget what is open and return it: the caller closes it. An attempt that goes on is ended."""
        attempt, self._attempt, self._pace = self._attempt, None, ConnectPace()
        if attempt is None:
            return None
        await tasks.end(attempt)
        return _result(attempt)

    async def _opening(self) -> T:
        try:
            found = await self._open_it()
        except NodeUnavailable as exc:
            self._pace.failed(str(exc), asyncio.get_running_loop().time())
            raise
        self._pace.connected()
        return found


def _result(attempt: asyncio.Task[T]) -> T | None:
    """What the attempt has opened, or None."""
    return attempt.result() if attempt.done() and not attempt.cancelled() and attempt.exception() is None else None


def _retrieved(attempt: asyncio.Task[T]) -> None:
    """Nobody may wait for the attempt any more: asyncio would then log its error as never retrieved."""
    if not attempt.cancelled():
        attempt.exception()
