"""Waits until a request need not be synthesized any more: it is cancelled, or its bridge has written a final report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from orastream.contract.audio_messages import EndError
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.contract.report_state import ReportState, state_of
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed

AT_REST_S = 8.0
"""How often the stored messages are read although nothing came: a live one may have been lost."""


class AbortWatch:
    """Watches one request from `async with` on, which must begin before the request is claimed.

    The claim asks what is stored at that time. So nothing needs to be read here, unless a live message is lost.
    """

    def __init__(
        self, js: JetStream, stored: StoredRequest, state_of: Callable[[Stored], ReportState | None] = state_of
    ) -> None:
        """`state_of` reads a report: that of a ReportStore does not decode the claim, which comes back here."""
        self._names = js.names
        self._stored = stored
        self._state_of = state_of
        self._changed = asyncio.Event()
        cancels, report = js.names.session_cancel(stored.session), js.names.report(stored.session, stored.token)
        self._asked = self._feed(js, js.names.sessions_stream, cancels, stored.sequence)
        self._reported = self._feed(js, js.names.reports_stream, report, 0)

    def _feed(self, js: JetStream, stream: str, subject: str, after: int) -> Feed:
        return Feed(
            js,
            stream,
            subject,
            wake=self._changed.set,
            after=after,
            expecting=False,
            at_rest_s=AT_REST_S,
            complete=True,
        )

    async def __aenter__(self) -> Self:
        await self._asked.__aenter__()
        await self._reported.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._asked.__aexit__(kind, exc, trace)
        await self._reported.__aexit__(kind, exc, trace)

    async def until_aborted(self) -> Report | None:
        """Return None when a cancel that covers the request is stored, or the final report that ends it. Cancel-safe.

        The report is needed when the cancel is not stored any more: the bridge that applied it deletes it with the
        request.
        """
        while True:
            self._changed.clear()
            while (message := self._asked.pop()) is not None:
                if cancels_it(self._names, message, self._stored):
                    return None
            while (message := self._reported.pop()) is not None:
                state = self._state_of(message)
                if state is not None and ends_it(state.report, self._stored):
                    return state.report
            await self._changed.wait()


def cancels_it(names: Names, message: Stored, stored: StoredRequest) -> bool:
    """Whether this message of the session's subject is a cancel that covers the request."""
    event = read_message(message, names, max_text_chars=0)
    return not isinstance(event, StoredRequest) and event.covers(stored.sequence, stored.token)


def ends_it(report: Report, stored: StoredRequest) -> bool:
    """Whether this report says that the rest of the audio is not needed. A report of an older request with the same id
    does not.

    Neither does `delivered`: the whole audio is stored then, so the synthesis ends by itself.
    """
    return report.request_seq == stored.sequence and report.final and report.status != "delivered"


def error_of(report: Report | None) -> EndError | None:
    """The error for the audio's `end`: the report's error; None if the request is cancelled."""
    if report is None or report.error is None:
        return None
    return EndError(report.error.code, report.error.message)
