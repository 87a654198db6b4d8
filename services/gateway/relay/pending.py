"""How many requests of an account are stored and not final, and whether it may store one more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from orastream.jetstream import management
from orastream.jetstream.api import JetStream

COUNT_EVERY_S = 0.5
"""A full account is counted again after so long. Each count costs the server a walk over the account's subjects."""
PATIENCE_S = 2.0


@dataclass(slots=True)
class _Count:
    at: float = float("-inf")
    stored: int = 0
    """Requests that the stream had at the last count, and those that this gateway has stored since."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PendingRequests:
    """Limits the pending requests of each account to `limit`; None: no limit. For one event loop.

    Several gateways count each for itself, so that together they may exceed the limit by what they store within
    COUNT_EVERY_S.
    """

    def __init__(self, js: JetStream, limit: int | None) -> None:
        self._js = js
        self.limit = limit
        self._counts: dict[str, _Count] = {}

    async def take(self, account: str) -> bool:
        """Count one more request of the account, which is stored now. False: it has no room. Raises NodeUnavailable.

        Accounts come from subjects that only the server's configuration allows, so there are few.
        """
        if self.limit is None:
            return True
        count = self._counts.setdefault(account, _Count())
        async with count.lock:
            now = asyncio.get_running_loop().time()
            if count.stored >= self.limit or count.at == float("-inf"):
                if now - count.at < COUNT_EVERY_S:
                    return False
                count.stored, count.at = await self._stored(account), now
                if count.stored >= self.limit:
                    return False
            count.stored += 1
            return True

    async def _stored(self, account: str) -> int:
        answer = await management.stream_info(
            self._js,
            self._js.names.sessions_stream,
            subjects=self._js.names.stored_filter(account),
            patience_s=PATIENCE_S,
        )
        state = management.checked(self._js.names.sessions_stream, answer, "state")["state"]
        return sum((state.get("subjects") or {}).values())
