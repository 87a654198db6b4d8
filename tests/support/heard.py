"""Writes records of what was heard as a bridge does: the first one, and the last one when a cancel is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from orastream.contract import subjects
from orastream.contract.heard import Heard
from orastream.contract.messages import Report, Status
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from tests.support.background_task import beside


def a_record(session: str, request: str, seq: int, *, done: bool = True, **fields: Any) -> Heard:
    """A record; one that is `done` says that one of two words was heard."""
    if done:
        fields = {"played_ms": 400, "heard_text": "하나", "unheard_text": "둘", "cut": "words"} | fields
    fields = {"heard_by": "sent"} | fields
    return Heard(request_id=request, session_id=session, request_seq=seq, done=done, **fields)


async def put_record(js: JetStream, record: Heard) -> None:
    """Store a record as a bridge does."""
    session, token = subjects.tokens(record.session_id, record.request_id)
    await js.store(js.names.put_heard(session, token), record.encode("json"))


async def put_report(js: JetStream, session: str, request: str, seq: int, status: Status, **fields: Any) -> Report:
    """Store a report as a bridge does; by default of a request over WebSocket."""
    fields = {"transport": "websocket"} | fields
    report = Report(request_id=request, session_id=session, request_seq=seq, status=status, **fields)
    await js.store(js.names.put_report(*subjects.tokens(session, request)), report.encode("json"))
    return report


@contextlib.asynccontextmanager
async def at_each_cancel(js: JetStream, answer: Callable[[int], Awaitable[object]]) -> AsyncIterator[None]:
    """Call `answer` with the sequence of each cancel that is stored from now on, inside the context."""
    changed = asyncio.Event()
    last = await js.last(js.names.sessions_stream, js.names.session_events("*"))

    async def run() -> None:
        async with Feed(
            js,
            js.names.sessions_stream,
            js.names.session_cancel("*"),
            wake=changed.set,
            after=last.sequence if last is not None else 0,
        ) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    await answer(message.sequence)
                await changed.wait()

    async with beside(run()):
        yield
