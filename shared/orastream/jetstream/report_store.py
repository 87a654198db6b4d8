"""Writes reports by compare-and-set, and closes a request after its final one. Rules: `contract/report_state.py`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from orastream.base.batch import Batch
from orastream.contract.codec import Encoding
from orastream.contract.errors import NodeUnavailable, SequenceConflict, StreamFull
from orastream.contract.messages import Report
from orastream.contract.report_state import ReportState, Verdict, judge, state_of
from orastream.contract.stored_requests import StoredRequest
from orastream.contract.superseding import Supersedes, supersedes
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.session_events import next_request

OWN = 8
"""How many reports of its own a store remembers: enough for one session."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write, and the report that is stored now."""

    verdict: Verdict
    state: ReportState


class ReportStore:
    """The node's stored reports, by subject tokens of session and request."""

    def __init__(
        self,
        js: JetStream,
        on_final: Callable[[Report], None] | None = None,
        on_stored: Callable[[int], None] | None = None,
        deletions: Batch | None = None,
        own: int = OWN,
    ) -> None:
        """`on_final` is called with each final report that this process has written, once; `on_stored` with the
        sequence of each report that it has written. `deletions` gathers the deletions of `close`. `own`:
        how many of its own reports it remembers, so that they are not decoded when they come back.
        """
        self._js = js
        self._on_final = on_final
        self._on_stored = on_stored
        self._deletions = deletions
        self._max_own = own
        self._own: dict[str, tuple[bytes, Report]] = {}
        """The last report written here for each of the last `own` requests."""

    def state_of(self, stored: Stored) -> ReportState | None:
        """Like `report_state.state_of`, but does not decode a report that this process wrote recently."""
        data, report = self._own.get(stored.subject, (None, None))
        if report is not None and data == stored.data:
            return ReportState(report, stored.sequence, stored.time_s)
        return state_of(stored)

    async def read(self, session: str, request: str) -> ReportState | None:
        """The stored report, read from the stream's leader, or None. Raises NodeUnavailable."""
        state, _ = await self._last(session, request)
        return state

    async def _last(self, session: str, request: str) -> tuple[ReportState | None, int]:
        """The stored report, and the revision to overwrite (0: none).

        A publisher can get a publish ack stored here, by using the subject as reply subject. It is not a report and is
        overwritten. Otherwise the request, and all after it in the session, would wait for an hour.
        """
        stored = await self._js.last(self._js.names.reports_stream, self._js.names.report(session, request))
        return (state_of(stored), stored.sequence) if stored is not None else (None, 0)

    async def write(self, of: StoredRequest, report: Report, revision: int | None) -> Written:
        """Write `report` over the one at `revision` (0: none yet, None: read it first). Repeats after a conflict.

        Cancel-safe: a cancelled write may or may not be stored. Raises NodeUnavailable.
        """
        data = report.encode(of.encoding)
        self._remember(self._js.names.report(of.session, of.token), data, report)
        subject = self._js.names.put_report(of.session, of.token)
        while True:
            if revision is not None:
                try:
                    return await self._written(subject, data, report, revision)
                except SequenceConflict:
                    pass
            current, revision = await self._last(of.session, of.token)
            verdict = judge(current.report, report) if current else None
            if current is not None and verdict is not None:
                return Written(verdict, current)

    async def _written(self, subject: str, data: bytes, report: Report, revision: int) -> Written:
        try:
            ack = await self._js.store(subject, data, expect_last=revision)
        except StreamFull as exc:  # the stream has no limit that a report could reach: the server lacks resources
            raise NodeUnavailable(str(exc)) from exc
        if self._on_stored is not None:
            self._on_stored(ack.sequence)
        if report.final and self._on_final is not None:
            self._on_final(report)
        return Written(Verdict.WRITTEN, ReportState(report, ack.sequence, 0.0))

    def _remember(self, subject: str, data: bytes, report: Report) -> None:
        self._own.pop(subject, None)
        self._own[subject] = (data, report)
        if len(self._own) > self._max_own:
            del self._own[next(iter(self._own))]

    async def write_first(self, of: StoredRequest, report: Report) -> Written:
        """Write `report` only if none is stored. Otherwise return the stored one with FINAL, whatever its status.

        Raises NodeUnavailable.
        """
        return await self.write_over(of, report, 0)

    async def write_over(self, of: StoredRequest, report: Report, revision: int) -> Written:
        """Like `write_first`, but `report` may also replace the stored report at `revision`.

        If that report was lost with its stream, `report` is written, too.
        """
        subject, data = self._js.names.put_report(of.session, of.token), report.encode(of.encoding)
        self._remember(self._js.names.report(of.session, of.token), data, report)
        while True:
            try:
                return await self._written(subject, data, report, revision)
            except SequenceConflict:
                current, revision = await self._last(of.session, of.token)
            if current is not None:
                return Written(judge(current.report, report) or Verdict.FINAL, current)

    async def close(self, of: StoredRequest, final: Report) -> bool:
        """Send the final report to `replyTo`, then delete the request, which frees its place in the session.

        Returns False, and does nothing, while a request is stored that this one supersedes: if it were deleted and
        the others died, nobody would cancel that request. Try again later.

        The request stays until the server has the report, so a crash or a lost connection between the two loses no
        report. Also deletes the pieces of a streamed text. Safe to repeat; `replyTo` then gets the report again.
        Raises NodeUnavailable.
        """
        if supersedes(of, final, first=True) is Supersedes.YES:
            earlier = await next_request(self._js, of.session, 0, before=of.sequence)
            if earlier is not None:
                return False
        if of.reply_to is not None:
            await self.send(of.reply_to, final, of.encoding)
        if self._deletions is not None:
            await self._deletions.turn()
        await self._js.delete(self._js.names.sessions_stream, of.sequence)
        if of.request is not None and of.request.text_stream:
            with contextlib.suppress(NodeUnavailable):  # the pieces expire anyway
                await self._js.purge(self._js.names.texts_stream, self._js.names.script(of.session, of.token))
        return True

    async def send(self, subject: str, report: Report, encoding: Encoding) -> None:
        """Send a report to a caller's subject, which must have passed `Names.reply_allowed`.

        Returns when the server has processed it: it has answered a ping that was sent after it, over the same
        connection. Raises NodeUnavailable otherwise: the server may not have it.
        """
        broker, broken = self._js.broker, asyncio.Event()
        forget = broker.on_disconnect(broken.set)
        try:
            await broker.publish(subject, report.encode(encoding))
            await broker.round_trip()
        finally:
            forget()
        if broken.is_set():
            raise NodeUnavailable(f"{subject}: the connection broke before NATS confirmed the report")
