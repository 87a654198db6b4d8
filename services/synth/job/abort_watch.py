"""Waits until a request need not be synthesized any more: it is cancelled, or its bridge has written a final report."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from orastream.base import tasks
from orastream.contract import subjects
from orastream.contract.audio_messages import EndError
from orastream.contract.errors import NodeUnavailable
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.contract.report_state import ReportState, state_of
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_message
from orastream.contract.superseding import Supersedes
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from services.synth.queue.superseded import SupersedingReader

AT_REST_S = 8.0
"""How often the stored messages are read although nothing came: a live one may have been lost."""
JUDGE_AGAIN_S = 1.0
"""How often it is looked whether a later request supersedes this one, while that is not known."""

log = structlog.get_logger()


class AbortWatch:
    """Watches one request from `async with` on, which must begin before the request is claimed.

    The claim asks what is stored at that time. So nothing needs to be read here, unless a live message is lost.
    """

    def __init__(
        self,
        reader: SupersedingReader,
        stored: StoredRequest,
        state_of: Callable[[Stored], ReportState | None] = state_of,
    ) -> None:
        """`state_of` reads a report: that of a ReportStore does not decode the claim, which comes back here."""
        js = reader.js
        self._names = js.names
        self._reader = reader
        self._stored = stored
        self._undecided: list[StoredRequest] = []
        """Later requests of which it is not known yet whether they supersede this one."""
        self._judging: asyncio.Task[bool] | None = None
        self._judge_at = 0.0
        """When to judge them again, by the event loop's clock."""
        self._state_of = state_of
        self._changed = asyncio.Event()
        events, report = js.names.session_events(stored.session), js.names.report(stored.session, stored.token)
        self._asked = self._feed(js, js.names.sessions_stream, events, stored.sequence)
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

    def consider(self, undecided: list[StoredRequest]) -> None:
        """Watch later requests that the claim has found, and of which it is not known yet whether they supersede."""
        self._undecided += undecided

    async def until_aborted(self) -> Report | None:
        """Return None when what cancels the request is stored, or the final report that ends it. Cancel-safe.

        The report is needed when the cancel is not stored any more: the bridge that applied it deletes it with the
        request. Call `async with` first.
        """
        try:
            while True:
                self._changed.clear()
                while (message := self._asked.pop()) is not None:
                    if cancels_it(self._names, message, self._stored):
                        return None
                    if (candidate := self._reader.candidate(message)) is not None:
                        self._undecided.append(candidate)
                        self._judge_at = 0.0
                while (message := self._reported.pop()) is not None:
                    state = self._state_of(message)
                    if state is not None and ends_it(state.report, self._stored):
                        return state.report
                if self._judging is not None and self._judging.done():
                    judging, self._judging = self._judging, None
                    if judging.result():
                        return None
                await self._changed_or_due()
        finally:
            if self._judging is not None:
                await tasks.end(self._judging)
                self._judging = None

    async def _changed_or_due(self) -> None:
        """Return at a change, or when the undecided requests must be judged again. Begins a judging that is due.

        In a task: a cancel must not wait for the answers that it needs.
        """
        now = asyncio.get_running_loop().time()
        if self._undecided and self._judging is None and now >= self._judge_at:
            self._judge_at = now + JUDGE_AGAIN_S
            self._judging = asyncio.create_task(self._superseded(), name="judge")
            self._judging.add_done_callback(lambda _: self._changed.set())
        due_at = self._judge_at if self._undecided and self._judging is None else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due_at):
                await self._changed.wait()

    async def _superseded(self) -> bool:
        """Whether a later request supersedes this one. Those that never will are forgotten."""
        for candidate in tuple(self._undecided):
            try:
                found = await self._reader.judged(candidate)
            except NodeUnavailable as exc:
                log.debug("it is not known whether a later request supersedes", error=str(exc))
                continue
            if found is Supersedes.YES:
                return True
            if found is Supersedes.NO:
                self._undecided.remove(candidate)
        return False


def cancels_it(names: Names, message: Stored, stored: StoredRequest) -> bool:
    """Whether this message of the session is a cancel that covers the request."""
    if not subjects.is_cancel(message.subject):
        return False
    event = read_message(message, names, max_text_chars=0)
    return isinstance(event, StoredCancel) and event.covers(stored.sequence, stored.token)


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
