"""`GET /api/reports/{sessionId}/{requestId}/events`: reports and live progress of one request, until its play ends.

A slow reader costs no memory: of the progress only the newest message is kept, of the reports the stored one. Events
never contain texts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from orastream.client.progress import ProgressFeed
from orastream.contract import codec
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError
from services.gateway.http.responses import Refused, error
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.request_service import RequestService
from services.gateway.routes.events import HEARTBEAT_S
from services.gateway.routes.readers import ReaderPlaces

MAX_READERS = 64
EVENTS = "/events"
_PATH = re.compile(rb"/api/reports/[^/]+/[^/]+/events/?\Z")


class RequestEventsRoute(APIRoute):
    """Matches only raw paths with three segments: an id may contain `%2Fevents`, and then a report is asked for."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the route takes this request."""
        if _PATH.search(scope["raw_path"]) is None:
            return Match.NONE, {}
        return super().matches(scope)


class RequestEvents:
    """Serves the readers of single requests. For one event loop."""

    def __init__(self, request_service: RequestService) -> None:
        self._request_service = request_service
        self._places = ReaderPlaces("single requests", MAX_READERS)

    async def opened(self, session_id: str, request_id: str) -> LiveResponse:
        """The stream of events. Raises Refused for an unknown request, InvalidRequest, Overloaded, NodeUnavailable."""
        self._places.check()
        if await self._request_service.client.report(session_id, request_id) is None:
            raise Refused(error(404, "not_found", "no such request within the last hour"))
        self._places.check()  # others may have come meanwhile
        return LiveResponse(self._events(session_id, request_id), "text/event-stream")

    async def _events(self, session_id: str, request_id: str) -> AsyncGenerator[bytes, None]:
        reads, changed = self._request_service.client.reads, asyncio.Event()
        self._places.enter()
        try:
            with self._request_service.calling_on_close(changed.set):
                async with ProgressFeed(reads, session_id, request_id, wake=changed.set) as feed:
                    yield event("hello", {"heartbeatSeconds": HEARTBEAT_S})
                    available = True
                    while not self._request_service.closing:
                        changed.clear()
                        came = feed.take()
                        for state in came.reports:
                            yield event("report", {"storedAt": state.stored_at_s, "report": state.report.to_map()})
                        if came.progress is not None:
                            yield event("progress", came.progress.to_map())
                        if feed.over():
                            yield event("end", {"played": feed.end.played})
                            return
                        if reads.broker.connected is not available:
                            available = not available
                            yield event("state", {"available": available})
                        if not await _wait(changed, feed.end.ends_at()):
                            yield b": alive\n\n"
        except OrastreamError as exc:
            raise BrokenOff(str(exc)) from exc
        finally:
            self._places.leave()


async def _wait(changed: asyncio.Event, until: float | None) -> bool:
    """Wait for something new, or until that time of the loop. Returns False if HEARTBEAT_S have passed before."""
    loop = asyncio.get_running_loop()
    heartbeat_at = loop.time() + HEARTBEAT_S
    try:
        async with asyncio.timeout_at(heartbeat_at if until is None else min(heartbeat_at, until)):
            await changed.wait()
    except TimeoutError:
        return loop.time() < heartbeat_at
    return True


def event(name: str, value: Map) -> bytes:
    """One server-sent event. It has no id: a reader that comes again gets the stored report again."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), codec.encode(value, "json"))
