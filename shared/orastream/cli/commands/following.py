"""The reports of one request as they are written, listened to from before it is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from orastream.client.async_client import Client
from orastream.contract import stream_names, subjects
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed


class Following:
    """`async with Following(client, session, request) as reports:` subscribes; then `async for report in reports`.

    It ends with the final report. A request that was spoken before shows the report it has.
    """

    def __init__(self, client: Client, session_id: str, request_id: str) -> None:
        """Raises InvalidRequest for ids that cannot be used."""
        self._changed = asyncio.Event()
        subject = subjects.report(subjects.token(session_id), subjects.token(request_id))
        self._feed = Feed(JetStream(client.broker), stream_names.REPORTS, subject, wake=self._changed.set)

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
