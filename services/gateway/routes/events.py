"""`GET /api/events`: the reports of requests, live, as server-sent events.

Each reader has its own feeds of the streams, so it misses nothing between two events. A slow reader costs no memory:
it skips a report if the request has a newer one. Events never contain texts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request

from orastream.contract import codec, subjects
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError, Overloaded
from orastream.contract.report_state import state_of
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream import management
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.request_service import RequestService

HEARTBEAT_S = 5.0
"""Without an event for so long, a comment is sent: a reader can tell a quiet connection from a dead one."""
MAX_READERS = 64
MAX_MISSED = 10_000
"""A reader that has missed more than that (in sequences of one stream) cannot resume and starts from the end."""

_ID = re.compile(r"(\d{1,18})-(\d{1,18})")


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """How far a reader has read, in sequences of TTS_REPORTS and TTS_SESSIONS. `str` gives the id of an event."""

    reports: int
    requests: int

    def __str__(self) -> str:
        return f"{self.reports}-{self.requests}"

    @classmethod
    def read(cls, text: str | None) -> ResumePoint | None:
        """The resume point in a `Last-Event-ID`; None when it is absent or invalid."""
        match = _ID.fullmatch(text or "")
        return cls(int(match[1]), int(match[2])) if match else None

    def reaches(self, newest: ResumePoint) -> bool:
        """Whether a reader can resume here, when `newest` is the end of both streams."""
        missed = (newest.reports - self.reports, newest.requests - self.requests)
        return all(0 <= behind <= MAX_MISSED for behind in missed)


class Events:
    """Serves the readers of events. For one event loop."""

    def __init__(self, js: JetStream, request_service: RequestService, *, max_text_chars: int) -> None:
        self._js = js
        self._request_service = request_service
        self._max_text_chars = max_text_chars
        self._readers = 0

    async def events(self, request: Request) -> LiveResponse:
        """Reports when they are written, and requests when they are stored, until the reader disconnects.

        `event: hello` says whether the events resume after `Last-Event-ID` (`resumed`), and after which sequence of
        reports they begin. Each `event: report` is `{"storedAt", "report"}`. `event: state` with `{"available": false}`
        says that the node is not available and no report can come; with `true`, that it is available again and all
        reports of the meantime were sent. After 5 s without an event a comment is sent. `session` selects one session.
        """
        session = request.query_params.get("session")
        if session is not None:
            subjects.check_id(session, "session")
        if self._readers >= MAX_READERS:
            raise Overloaded(f"there are already {self._readers} readers of events; try again later")
        token = "*" if session is None else subjects.token(session)
        newest = await self._newest()
        asked = ResumePoint.read(request.headers.get("last-event-id"))
        resumed = asked is not None and asked.reaches(newest)
        pieces = self._events(token, asked if asked is not None and resumed else newest, resumed)
        return LiveResponse(pieces, "text/event-stream")

    async def _newest(self) -> ResumePoint:
        """The last sequence of both streams, from their leaders. Deleting messages does not lower it."""
        return ResumePoint(
            *await asyncio.gather(self._last(self._js.names.reports_stream), self._last(self._js.names.sessions_stream))
        )

    async def _last(self, stream: str) -> int:
        answer = management.checked(stream, await management.stream_info(self._js, stream), "state")
        return int(answer["state"]["last_seq"])

    async def _events(self, session: str, after: ResumePoint, resumed: bool) -> AsyncGenerator[bytes, None]:
        changed = asyncio.Event()
        self._readers += 1
        try:
            async with (
                Feed(
                    self._js,
                    self._js.names.reports_stream,
                    self._js.names.reports(session),
                    wake=changed.set,
                    after=after.reports,
                ) as reports,
                Feed(
                    self._js,
                    self._js.names.sessions_stream,
                    self._js.names.session_events(session),
                    wake=changed.set,
                    after=after.requests,
                ) as requests,
            ):
                begins = {"resumed": resumed, "heartbeatSeconds": HEARTBEAT_S, "reports": after.reports}
                yield event("hello", begins, after)
                available = True
                with self._request_service.calling_on_close(changed.set):
                    while not self._request_service.closing:
                        changed.clear()
                        # Requests first: else `queued` would follow a newer report of the same request.
                        for feed, read in ((requests, self._queued), (reports, _reported)):
                            while (message := feed.pop()) is not None:
                                if (value := read(message)) is not None:
                                    yield event("report", value, ResumePoint(reports.verified, requests.verified))
                        # While NATS is lost, comments would make readers believe that no report was written.
                        connected = self._js.broker.connected
                        if (connected and reports.current and requests.current) if not available else not connected:
                            available = not available
                            place = ResumePoint(reports.verified, requests.verified)
                            yield event("state", {"available": available}, place)
                        try:
                            async with asyncio.timeout(HEARTBEAT_S):
                                await changed.wait()
                        except TimeoutError:
                            yield b": alive\n\n"
        except OrastreamError as exc:
            raise BrokenOff(str(exc)) from exc
        finally:
            self._readers -= 1

    def _queued(self, message: Stored) -> Map | None:
        # Without a session it is deleted without a report, and JSON may not be able to hold its token.
        if self._js.names.session_of(message.subject) is None:
            return None
        stored = read_stored(
            self._js.names,
            message.subject,
            message.sequence,
            message.time_s,
            message.data,
            max_text_chars=self._max_text_chars,
        )
        if not isinstance(stored, StoredRequest):
            return None
        return {"storedAt": stored.stored_at_s, "report": stored.report("queued").to_map()}


def _reported(message: Stored) -> Map | None:
    state = state_of(message)
    return None if state is None else {"storedAt": state.stored_at_s, "report": state.report.to_map()}


def event(name: str, value: Map, place: ResumePoint) -> bytes:
    """One server-sent event."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), str(place).encode(), codec.encode(value, "json"))
