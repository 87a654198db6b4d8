"""Limits of one caller: requests and characters in a minute, and requests at the same time.

A request that one limit refuses is not counted by the others. Callers are counted by `ApiCaller.counted_as`.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator

from orastream.contract.errors import InvalidRequest
from services.gateway.access.policy import ApiCaller
from services.gateway.access.rates import MinuteRate
from services.gateway.http.refusals import Reason
from services.gateway.http.responses import Refused, error

RETRY_CONCURRENT_S = 1
ROUNDING_S = 0.01
"""A wait computed from unix times in floating point may be too short by this at most; they round by microseconds."""


class CallerLimits:
    """The limits of all callers; None switches a limit off. `refused` counts a refusal. For one event loop."""

    def __init__(
        self,
        requests_per_minute: int | None = None,
        characters_per_minute: int | None = None,
        concurrent: int | None = None,
        *,
        refused: Callable[[Reason], None],
    ) -> None:
        self._requests = None if requests_per_minute is None else MinuteRate(requests_per_minute)
        self._characters = None if characters_per_minute is None else MinuteRate(characters_per_minute)
        self._concurrent = concurrent
        self._refused = refused
        self._in_progress: Counter[str] = Counter()

    @property
    def counts_characters(self) -> bool:
        """Whether `take` needs the number of characters."""
        return self._characters is not None

    @contextlib.contextmanager
    def place(self, caller: ApiCaller) -> Iterator[None]:
        """Count one request as in progress while the context is open. Raises Refused (429)."""
        who = caller.counted_as
        if self._concurrent is not None and self._in_progress[who] >= self._concurrent:
            what = f"{self._concurrent} requests of {_shown(caller)} at the same time are allowed"
            raise self._refusal("concurrent", "GATEWAY_CONCURRENT", what, RETRY_CONCURRENT_S)
        self._in_progress[who] += 1
        try:
            yield
        finally:
            self._in_progress[who] -= 1
            if not self._in_progress[who]:
                del self._in_progress[who]  # callers without keys come from any number of addresses

    async def check(self, caller: ApiCaller) -> None:
        """Raise Refused (429) if this caller has no request left now. Counts nothing."""
        if self._requests is not None and (wait_s := await self._requests.wait_s(caller.counted_as)) is not None:
            what = f"{self._requests.most} requests a minute of {_shown(caller)} are allowed"
            raise self._refusal("requests_per_minute", "GATEWAY_REQUESTS_PER_MINUTE", what, seconds(wait_s))

    async def take(self, caller: ApiCaller, characters: int = 0) -> None:
        """Count one request with so many characters to speak. Raises Refused (429), and then counts nothing.

        Raises InvalidRequest for a text that is longer than a minute's characters: to try again would be in vain.
        """
        await self.check(caller)
        if self._characters is not None and characters:
            most = self._characters.most
            if characters > most:
                self._refused("characters_per_minute")
                text = (
                    f"has {characters} characters, but GATEWAY_CHARACTERS_PER_MINUTE allows {most} a minute; split it"
                )
                raise InvalidRequest("text", text)
            if (wait_s := await self._characters.wait_s(caller.counted_as, characters)) is not None:
                what = f"{most} characters a minute of {_shown(caller)} are allowed, and this text has {characters}"
                raise self._refusal("characters_per_minute", "GATEWAY_CHARACTERS_PER_MINUTE", what, seconds(wait_s))
            await self._characters.take(caller.counted_as, characters)
        await self.count(caller)

    async def count(self, caller: ApiCaller) -> None:
        """Count one request that was served already, or nothing when this caller has no request left."""
        if self._requests is not None:
            await self._requests.take(caller.counted_as)

    def _refusal(self, reason: Reason, setting: str, what: str, retry_after_s: int) -> Refused:
        self._refused(reason)
        text = f"{setting}: {what}; try again in {retry_after_s} s"
        return Refused(error(429, "rate_limited", text, retryable=True, headers={"Retry-After": str(retry_after_s)}))


def seconds(wait_s: float) -> int:
    """The `Retry-After` for a wait that must be exceeded: whole seconds, at least 1."""
    return math.floor(wait_s + ROUNDING_S) + 1


def _shown(caller: ApiCaller) -> str:
    return f"the caller {caller.name}" if caller.name == caller.counted_as else f"the address {caller.counted_as}"
