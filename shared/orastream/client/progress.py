"""Follows how far one request is: its reports, and the live progress of its delivery until its play ends.

Progress is not stored. A bridge publishes it only while somebody subscribes, and looks for subscribers every 5 s. So
the first message may come late, and of a short utterance none may come. Reports are stored; none is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple

from orastream.broker import Headers
from orastream.client.caller_feed import CallerFeed
from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import Undecodable, WaitTimeout
from orastream.contract.messages import Report
from orastream.contract.report_state import ReportState, state_of

SILENT_S = 10.0
"""After the final report: end after so long without progress. While the utterance plays, a bridge publishes every 2 s,
or sees within 5 s that somebody watches."""

PLAYED_S = 60.0
"""A final report that is older than its speech, and by so much, is not waited for: its speech was played long ago."""


@dataclass(slots=True)
class ProgressEnd:
    """When nothing more can come about one request. Pure; monotonic seconds."""

    final_at: float | None = None
    """When the final report was read; None before."""
    _last_at: float = float("-inf")
    _done_seq: int = -1
    """The highest sequence of a request whose play has ended."""
    _seq: int = -1
    """The sequence of the final report's request."""
    _silent: bool = False
    """No bridge publishes progress of it."""

    def read(self, report: Report, age_s: float, now: float) -> None:
        """A report was read, which is `age_s` seconds old."""
        if report.final:
            self.final_at, self._seq = now, report.request_seq
            speech_s = max(report.sent_seconds, report.audio_seconds)
            over_http = report.transport != "websocket" or report.fallback is not None
            self._silent = over_http or not speech_s or age_s > speech_s + PLAYED_S

    def received(self, progress: DeliveryProgress, now: float) -> None:
        """A message of the live progress came."""
        self._last_at = now
        if progress.done:
            self._done_seq = max(self._done_seq, progress.request_seq)

    @property
    def played(self) -> bool:
        """Whether the end of its play was seen."""
        return self.final_at is not None and self._done_seq >= self._seq

    def ends_at(self) -> float | None:
        """When to stop waiting; None before the final report. It may have passed."""
        if self.final_at is None:
            return None
        if self._silent or self.played:
            return self.final_at
        return max(self.final_at, self._last_at) + SILENT_S


class Followed(NamedTuple):
    """What has come about a request: reports in order, then the newest progress, if there is a new one."""

    reports: list[ReportState]
    progress: DeliveryProgress | None


class ProgressFeed:
    """The reports and the progress of one request. `async with` opens it; `wake` is called when something has come.

    Of the progress only the newest message is kept. Only for use in one event loop.
    """

    def __init__(self, reads: Reads, session_id: str, request_id: str, *, wake: Callable[[], None]) -> None:
        """Raises InvalidRequest for ids that are not valid."""
        session, token = subjects.tokens(session_id, request_id)
        names = reads.js.names
        self._reads = reads
        self._wake = wake
        self._subject = names.progress(session, token)
        self.reports: CallerFeed = reads.feed(names.reports_stream, names.report(session, token), wake=wake)
        self._newest: DeliveryProgress | None = None
        self._loop = asyncio.get_running_loop()
        self.end = ProgressEnd()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> ProgressFeed:
        """Subscribe. Raises NodeUnavailable. Cancel-safe."""
        async with contextlib.AsyncExitStack() as stack:
            subscription = await self._reads.broker.subscribe(self._subject, self._on_message)
            stack.push_async_callback(subscription.close)
            await stack.enter_async_context(self.reports)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def take(self) -> Followed:
        """Return what has come since the last call."""
        now, reports = self._loop.time(), []
        while (message := self.reports.pop()) is not None:
            if (state := state_of(message)) is not None:
                self.end.read(state.report, self._age_s(state), now)
                reports.append(state)
        newest, self._newest = self._newest, None
        return Followed(reports, newest)

    def over(self) -> bool:
        """Whether nothing more can come."""
        return (at := self.end.ends_at()) is not None and self._loop.time() >= at

    def _age_s(self, state: ReportState) -> float:
        """Seconds since a report was stored, by this host's time of day: a caller may not know the server's clock."""
        return time.time() - state.stored_at_s

    def _on_message(self, _subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        with contextlib.suppress(Undecodable):
            self._newest = DeliveryProgress.decode(data)
            self.end.received(self._newest, self._loop.time())
            self._wake()


async def follow(
    reads: Reads, session_id: str, request_id: str, *, wait_s: float
) -> AsyncGenerator[DeliveryProgress, None]:
    """See `Client.progress`."""
    changed, loop = asyncio.Event(), asyncio.get_running_loop()
    came_at = loop.time()
    async with ProgressFeed(reads, session_id, request_id, wake=changed.set) as feed:
        while True:
            changed.clear()
            came = feed.take()
            if came.reports or came.progress is not None:
                came_at = loop.time()
            if came.progress is not None:
                yield came.progress
            if feed.over():
                return
            ends_at = feed.end.ends_at()
            until = came_at + wait_s if ends_at is None else ends_at
            try:
                async with asyncio.timeout_at(until):
                    await changed.wait()
            except TimeoutError:
                if feed.end.ends_at() is None and loop.time() >= came_at + wait_s:
                    raise WaitTimeout(session_id, request_id, wait_s) from None
