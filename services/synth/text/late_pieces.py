"""Deletes pieces of text whose request is final: a writer that has not noticed the end goes on publishing."""

from __future__ import annotations

import asyncio

import structlog

from orastream.contract import stream_names, subjects
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream
from orastream.jetstream.page_cursor import PageCursor
from orastream.jetstream.report_store import ReportStore

SWEEP_EVERY_S = 30.0

log = structlog.get_logger()


class LatePieces:
    """`await run()` sweeps until cancelled. Pieces without a final report of their request stay. Not thread-safe."""

    def __init__(self, js: JetStream, reports: ReportStore) -> None:
        self._js = js
        self._reports = reports
        self._pieces = PageCursor(js, stream_names.TEXTS, subjects.script("*", "*"))

    async def run(self) -> None:
        """Sweep every SWEEP_EVERY_S seconds. While NATS does not answer, pieces stay until a later sweep."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except NodeUnavailable as exc:
                log.debug("late pieces of text stay for now", error=str(exc))

    async def sweep(self) -> int:
        """Look at the next pieces. Return the number of texts that were deleted. Raises NodeUnavailable."""
        deleted = 0
        for subject in sorted({message.subject for message in await self._pieces.read()}):
            session, request = subject.split(".")[2:]
            if not (subjects.usable(session) and subjects.usable(request)):
                continue  # as a filter, a token such as `*` would delete the texts of others; the piece expires
            state = await self._reports.read(session, request)
            if state is not None and state.report.final:
                await self._js.purge(stream_names.TEXTS, subject)
                deleted += 1
        if deleted:
            log.info("late pieces of text deleted", texts=deleted)
        return deleted
