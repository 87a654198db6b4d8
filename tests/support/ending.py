"""Ends requests in tests without a bridge: writes final reports as a bridge does, with a status from the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from orastream.contract import codec, subjects
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, Status
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from orastream.jetstream.report_store import ReportStore
from tests.support.background_task import beside
from tests.support.names import NAMES


async def stored_request(js: JetStream, session_id: str, request_id: str | None = None) -> StoredRequest:
    """The session's stored request with that id, or its only one. Raises AssertionError if there is none."""
    session, after, found = subjects.token(session_id), 0, []
    while (message := await js.after(NAMES.sessions_stream, NAMES.session_request(session), after)) is not None:
        after = message.sequence
        stored = read_stored(
            NAMES, message.subject, after, message.time_s, message.data, max_text_chars=DEFAULT_MAX_TEXT_CHARS
        )
        assert isinstance(stored, StoredRequest)
        if request_id in (None, stored.request_id):
            found.append(stored)
    assert len(found) == 1, f"{session_id} has {len(found)} such requests"
    return found[0]


async def store_request(js: JetStream, request_id: str = "r", **fields: object) -> StoredRequest:
    """Publish a request of session `s` and return it as stored."""
    body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": request_id, **fields}
    await js.store(NAMES.request("s"), codec.encode(body, "json"))
    return await stored_request(js, "s", request_id)


async def end(js: JetStream, stored: StoredRequest, status: Status, **fields: Any) -> Report:
    """Write the final report of a stored request as a bridge does, and delete the request."""
    reports = ReportStore(js)
    written = await reports.write(stored, stored.report(status, **fields), None)
    await reports.close(stored, written.state.report)
    return written.state.report


@contextlib.asynccontextmanager
async def ending_all(js: JetStream, status: Status, **fields: Any) -> AsyncIterator[None]:
    """End every stored request with that report, inside the context."""
    changed = asyncio.Event()

    async def run() -> None:
        async with Feed(js, NAMES.sessions_stream, NAMES.session_request("*"), wake=changed.set) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    stored = read_stored(
                        NAMES,
                        message.subject,
                        message.sequence,
                        message.time_s,
                        message.data,
                        max_text_chars=DEFAULT_MAX_TEXT_CHARS,
                    )
                    assert isinstance(stored, StoredRequest)
                    await end(js, stored, status, **fields)
                await changed.wait()

    async with beside(run()):
        yield
