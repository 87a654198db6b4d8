"""Lets a request in: checks who calls, then the limits of this caller. All routes that need a key pass through it."""

from __future__ import annotations

import enum

from fastapi import Request

from orastream.traces import Span
from services.gateway.access.caller_limits import CallerLimits
from services.gateway.access.policy import AccessPolicy, ApiCaller, Denied
from services.gateway.http.held import hold


class Counted(enum.Enum):
    """How a route's requests count against the limits of a minute. All of them count as requests at the same time."""

    EACH = "one request"
    SPEECH = "one request, and the characters of its text, once the text is known"
    NOT = "not: pages ask for it again and again"


class Visit:
    """One admitted request; in handlers `request.state.visit`. `caller` says who made it."""

    def __init__(self, caller: ApiCaller, limits: CallerLimits, *, counted: bool) -> None:
        self.caller = caller
        self._limits = limits
        self._open = not counted

    async def speaks(self, text: object) -> None:
        """Count the request and the characters of its text. Call it before the request is stored.

        Raises Refused (429), and InvalidRequest for a text that is too long for the limit; then nothing is counted.
        """
        self._open = False
        await self._limits.take(self.caller, len(text) if isinstance(text, str) else 0)

    async def end(self) -> None:
        """Count a request whose text was never known, because its body could not be read."""
        if self._open:
            self._open = False
            await self._limits.count(self.caller)


class CallerAdmission:
    """The policy and the limits. For one event loop."""

    def __init__(self, policy: AccessPolicy, limits: CallerLimits) -> None:
        self._policy = policy
        self._limits = limits

    @property
    def asks(self) -> bool:
        """Whether callers need a key."""
        return self._policy.asks

    async def enter(self, request: Request, counted: Counted, span: Span | None = None) -> Visit | Denied:
        """Admit a request until its answer has ended, or return why it is denied. Raises Refused (429).

        Sets `request.state.caller`, `request.state.visit` and the span's `orastream.caller`.
        """
        caller = self._policy.admit(request.headers, request.client.host if request.client else None)
        if isinstance(caller, Denied):
            return caller
        request.state.caller = caller
        if span is not None:
            span.set({"orastream.caller": caller.name})
        hold(request, self._limits.place(caller))
        if counted is Counted.EACH:
            await self._limits.take(caller)
        elif counted is Counted.SPEECH:
            await self._limits.check(caller)
        visit = request.state.visit = Visit(caller, self._limits, counted=counted is not Counted.SPEECH)
        return visit
