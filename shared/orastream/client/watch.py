"""Follows what the node stores for a request or a session: live, complete and in order.

The generators are endless unless documented otherwise. Leave the loop to end one, best under `contextlib.aclosing`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, unpack
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.jetstream.api import Stored


async def messages(reads: Reads, stream: str, subject: str, *, after: int | None = 0) -> AsyncGenerator[Stored, None]:
    """Yield the messages of `subject` stored above sequence `after` (None: from now on), each once."""
    changed = asyncio.Event()
    async with reads.feed(stream, subject, wake=changed.set, after=after) as feed:
        while True:
            changed.clear()
            while (message := feed.pop()) is not None:
                yield message
            await changed.wait()


async def reports(reads: Reads, session_id: str | None, *, history: bool) -> AsyncGenerator[Report, None]:
    """See `Client.reports`."""
    async with contextlib.aclosing(dated_reports(reads, session_id, history=history)) as dated:
        async for _, report in dated:
            yield report


async def dated_reports(
    reads: Reads, session_id: str | None, *, history: bool
) -> AsyncGenerator[tuple[float, Report], None]:
    """Yield the reports of `Client.reports`, each with the unix seconds of its storing, by the server's clock."""
    subject = reads.js.names.reports("*" if session_id is None else subjects.token(session_id, "sessionId"))
    stored = messages(reads, reads.js.names.reports_stream, subject, after=0 if history else None)
    async with contextlib.aclosing(stored):
        async for message in stored:
            report = _report(message.data)
            if report is not None:
                yield message.time_s, report


async def outcome(reads: Reads, session_id: str, request_id: str) -> Report:
    """Wait for a request's final report, without a timeout, and return it."""
    subject = reads.js.names.report(*subjects.tokens(session_id, request_id))
    async with contextlib.aclosing(messages(reads, reads.js.names.reports_stream, subject)) as stored:
        async for message in stored:
            report = _report(message.data)
            if report is not None and report.final:
                return report
    raise AssertionError("`messages` is an endless generator")


async def audio(
    reads: Reads, session_id: str, request_id: str, request_seq: int
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """See `Client.audio`."""
    assembly = Assembly(request_seq)
    subject = reads.js.names.audio(*subjects.tokens(session_id, request_id))
    async with contextlib.aclosing(messages(reads, reads.js.names.audio_stream, subject)) as stored:
        async for message in stored:
            start = assembly.start
            try:
                unpacked = unpack(message.data)
            except Undecodable:  # such as a message kind of a later version
                continue
            for chunk in assembly.receive(message.sequence, unpacked):
                yield chunk
            if assembly.start is not None and assembly.start is not start:
                yield assembly.start
            if assembly.finished is not None:
                yield assembly.finished
                return


def _report(data: bytes) -> Report | None:
    try:
        return Report.decode(data)
    except (Undecodable, ValueError):
        return None
