"""`GET /api/events`: the reports of requests and what was heard of them, live, as server-sent events.

Each reader has its own feeds of the streams, so it misses nothing between two events. A slow reader costs no memory:
it skips a report, or a record of what was heard, if the request has a newer one. Only records of what was heard contain
texts. Who may read events may also read these texts: with the ids of the events it can get the captions of the audio.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request

from orastream.contract import codec, subjects
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError
from orastream.contract.heard import heard_state_of
from orastream.contract.report_state import state_of
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream import management
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.request_service import RequestService
from services.gateway.routes.readers import ReaderPlaces

HEARTBEAT_S = 5.0
"""Without an event for so long, a comment is sent: a reader can tell a quiet connection from a dead one."""
MAX_READERS = 64
MAX_MISSED = 10_000
"""A reader that has missed more than that (in sequences of one stream) cannot resume and starts from the end."""

_ID = re.compile(r"(\d{1,18})-(\d{1,18})(?:-(\d{1,18}))?")


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """How far a reader has read, in sequences of TTS_REPORTS, TTS_SESSIONS and TTS_HEARD. `str`: the id of an event.

    `heard` None: the id is of an older gateway, which had no events of what was heard.
    """

    reports: int
    requests: int
    heard: int | None = None

    def __str__(self) -> str:
        return f"{self.reports}-{self.requests}" + ("" if self.heard is None else f"-{self.heard}")

    @classmethod
    def read(cls, text: str | None) -> ResumePoint | None:
        """The resume point in a `Last-Event-ID`; None when it is absent or invalid."""
        match = _ID.fullmatch(text or "")
        return cls(int(match[1]), int(match[2]), int(match[3]) if match[3] else None) if match else None

    def reaches(self, newest: ResumePoint) -> bool:
        """Whether a reader can resume here, when `newest` is the end of all streams."""
        missed = [newest.reports - self.reports, newest.requests - self.requests]
        if self.heard is not None:
            missed.append((newest.heard or 0) - self.heard)
        return all(0 <= behind <= MAX_MISSED for behind in missed)

    def resumed(self, newest: ResumePoint) -> ResumePoint:
        """The same place with a sequence of each stream: what it does not know begins at the end."""
        return self if self.heard is not None else ResumePoint(self.reports, self.requests, newest.heard)


class ReadPlace:
    """How far a reader has read the feeds. What a feed has read and not given out yet would be lost after a break."""

    def __init__(self, requests: Feed, reports: Feed, heard: Feed) -> None:
        self._feeds = (reports, requests, heard)
        self._read = [feed.verified for feed in self._feeds]

    def point(self) -> ResumePoint:
        """The place after the last message that was taken. It stays lower while a feed has more, which come again."""
        for number, feed in enumerate(self._feeds):
            if not feed.buffered:
                self._read[number] = feed.verified
        return ResumePoint(*self._read)


class Events:
    """Serves the readers of events. For one event loop."""

    def __init__(self, js: JetStream, request_service: RequestService, *, max_text_chars: int) -> None:
        self._js = js
        self._request_service = request_service
        self._max_text_chars = max_text_chars
        self._places = ReaderPlaces("events", MAX_READERS)

    async def events(self, request: Request) -> LiveResponse:
        """Reports, records of what was heard, and requests when they are stored, until the reader disconnects.

        `event: hello` says whether the events resume after `Last-Event-ID` (`resumed`), and after which sequence of
        reports they begin. Each `event: report` is `{"storedAt", "report"}`, each `event: heard` `{"storedAt",
        "heard"}`. `event: state` with `{"available": false}` says that the node is not available and no report can
        come; with `true`, that it is available again and all reports and records of the meantime were sent. After 5 s
        without an event a comment is sent. `session` selects one session.
        """
        session = request.query_params.get("session")
        if session is not None:
            subjects.check_id(session, "session")
        self._places.check()
        token = "*" if session is None else subjects.token(session)
        newest = await self._newest()
        asked = ResumePoint.read(request.headers.get("last-event-id"))
        resumed = asked is not None and asked.reaches(newest)
        after = asked.resumed(newest) if asked is not None and resumed else newest
        pieces = self._events(token, after, resumed)
        return LiveResponse(pieces, "text/event-stream")

    async def _newest(self) -> ResumePoint:
        """The last sequence of each stream, from its leader. Deleting messages does not lower it."""
        names = self._js.names
        streams = (names.reports_stream, names.sessions_stream, names.heard_stream)
        return ResumePoint(*await asyncio.gather(*map(self._last, streams)))

    async def _last(self, stream: str) -> int:
        answer = management.checked(stream, await management.stream_info(self._js, stream), "state")
        return int(answer["state"]["last_seq"])

    async def _events(self, session: str, after: ResumePoint, resumed: bool) -> AsyncGenerator[bytes, None]:
        names = self._js.names
        changed = asyncio.Event()
        self._places.enter()
        try:
            async with (
                self._feed(names.sessions_stream, names.session_events(session), changed, after.requests) as requests,
                self._feed(names.reports_stream, names.report(session, "*"), changed, after.reports) as reports,
                self._feed(names.heard_stream, names.heard(session, "*"), changed, after.heard or 0) as heard,
            ):
                # Requests first: else `queued` would follow a newer report of the same request.
                feeds = ((requests, "report", self._queued), (reports, "report", _reported), (heard, "heard", _heard))
                place = ReadPlace(requests, reports, heard)
                begins = {"resumed": resumed, "heartbeatSeconds": HEARTBEAT_S, "reports": after.reports}
                yield event("hello", begins, after)
                available = True
                with self._request_service.calling_on_close(changed.set):
                    while not self._request_service.closing:
                        changed.clear()
                        for feed, name, read in feeds:
                            while (message := feed.pop()) is not None:
                                if (value := read(message)) is not None:
                                    yield event(name, value, place.point())
                        # While NATS is lost, comments would make readers believe that no report was written.
                        connected = self._js.broker.connected
                        if (connected and all(feed.current for feed, *_ in feeds)) if not available else not connected:
                            available = not available
                            yield event("state", {"available": available}, place.point())
                        try:
                            async with asyncio.timeout(HEARTBEAT_S):
                                await changed.wait()
                        except TimeoutError:
                            yield b": alive\n\n"
        except OrastreamError as exc:
            raise BrokenOff(str(exc)) from exc
        finally:
            self._places.leave()

    def _feed(self, stream: str, subject: str, changed: asyncio.Event, after: int) -> Feed:
        return Feed(self._js, stream, subject, wake=changed.set, after=after)

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


def _heard(message: Stored) -> Map | None:
    state = heard_state_of(message)
    return None if state is None else {"storedAt": state.stored_at_s, "heard": state.heard.to_map()}


def event(name: str, value: Map, place: ResumePoint) -> bytes:
    """One server-sent event."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), str(place).encode(), codec.encode(value, "json"))
