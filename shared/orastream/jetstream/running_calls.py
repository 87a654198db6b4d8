"""The calls of a process that wait for NATS, and when all of them must have ended. Apart, to be tested without NATS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orastream.contract.errors import NodeUnavailable


class RunningCalls:
    """`async with calls.one(subject)` around each call. For one event loop."""

    def __init__(self) -> None:
        self.end_at = float("inf")
        """When they end at the latest (monotonic seconds)."""
        self._running: set[asyncio.Timeout] = set()

    def end(self, at: float) -> None:
        """Let all calls, running and later ones, end at `at` (monotonic seconds) with NodeUnavailable. Call it once."""
        self.end_at = at
        for call in self._running:
            call.reschedule(at)

    @contextlib.asynccontextmanager
    async def one(self, subject: str) -> AsyncIterator[None]:
        """Raises NodeUnavailable when the call takes until `end_at`."""
        try:
            async with asyncio.timeout_at(None if self.end_at == float("inf") else self.end_at) as call:
                self._running.add(call)
                try:
                    yield
                finally:
                    self._running.discard(call)
        except TimeoutError:
            raise NodeUnavailable(f"{subject}: no answer before this process ends") from None
