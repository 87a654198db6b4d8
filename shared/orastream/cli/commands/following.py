"""The reports of one request, read from before the request is sent, so that none is missed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report


class Following:
    """The reports of one request: `async with Following(client, session, request) as reports:` subscribes.

    Then `async for report in reports` yields reports until the final one. If the request was spoken before, it yields
    the report that is stored.
    """

    def __init__(self, client: Client, session_id: str, request_id: str) -> None:
        """Raises InvalidRequest for ids that are not valid."""
        self._changed = asyncio.Event()
        subject = client.names.report(subjects.token(session_id), subjects.token(request_id))
        self._feed = client.reads.feed(client.names.reports_stream, subject, wake=self._changed.set)

    async def __aenter__(self) -> Self:
        await self._feed.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._feed.__aexit__(kind, exc, trace)

    async def __aiter__(self) -> AsyncIterator[Report]:
        while True:
            self._changed.clear()
            while (message := self._feed.pop()) is not None:
                with contextlib.suppress(Undecodable, ValueError):
                    report = Report.decode(message.data)
                    yield report
                    if report.final:
                        return
            await self._changed.wait()
