"""Cancels, and reads what was heard of the utterances that a cancel has cut. The rule: `client/cut_utterances.py`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from dataclasses import dataclass

from orastream.base.backoff import Backoff
from orastream.client import publishing
from orastream.client.caller_feed import CallerFeed
from orastream.client.cut_utterances import CutUtterances
from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, NoResponders, PublishRefused, Undecodable
from orastream.contract.heard import Heard, heard_state_of
from orastream.contract.messages import Cancel, Report
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.session_events import later_requests

DEFAULT_CUT_S = 5.0
"""How long a cancel waits for what was heard."""
MARK_S = 0.25
"""How long a cancel may be delayed to learn which requests were cancelled before it."""
UNSEEN_S = 0.5
"""How long a cancel of a session waits for requests that it cannot see: they are stored and have no report yet."""


@dataclass(frozen=True, slots=True)
class CutSpeech:
    """What a cancel has cut."""

    cancel_seq: int
    """The sequence of the cancel."""
    heard: tuple[Heard, ...]
    """One record for each utterance, in the order of the requests. With `done` false it is not certain."""


class HeardUnreadable(NodeUnavailable):
    """A cancel is stored, at `cancel_seq`, but what was heard could not be read in time. Do not cancel again for it."""

    def __init__(self, cancel_seq: int, problem: Exception | None) -> None:
        why = f": {problem}" if problem is not None else ""
        super().__init__(
            f"the cancel is stored at sequence {cancel_seq}, but what was heard could not be read in time{why}"
        )
        self.cancel_seq = cancel_seq


async def store_cancel(js: JetStream, session_id: str, request_id: str | None) -> int:
    """See `Client.cancel`."""
    session = subjects.token(session_id, "sessionId")
    if request_id is not None:
        subjects.check_id(request_id, "requestId")
    try:
        # The publish is repeated when its ack is lost. A second copy would cancel requests stored in between; the
        # message id prevents it.
        message_id = f"{session}.cancel.{uuid.uuid4().hex}"
        ack = await js.store(js.names.cancel(session), Cancel(request_id).encode(), message_id=message_id)
    except PublishRefused as exc:
        raise publishing.refusal("the cancel", session_id, exc) from exc
    return ack.sequence


def check_seconds(name: str, value: float) -> float:
    """Return the number of seconds. Raises ValueError, which names it, if it is below 0, infinite or no number."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value}: it must be a number of seconds, 0 or more")
    return value


class CutWatch:
    """Cancels one request or all of a session, once, and waits for what was heard. For one event loop.

    Raises InvalidRequest for a bad id and ValueError for a bad time.
    """

    def __init__(
        self, reads: Reads, session_id: str, request_id: str | None = None, *, timeout_s: float = DEFAULT_CUT_S
    ) -> None:
        """`timeout_s`: how long to wait for what was heard, from when the cancel is stored."""
        session, request = subjects.token(session_id, "sessionId"), "*"
        if request_id is not None:
            _, request = subjects.tokens(session_id, request_id)
        self._reads = reads
        self._session_id, self._session = session_id, session
        self._request_id, self._request = request_id, request
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        self._reports = reads.js.names.reports_stream, reads.js.names.report(session, request)
        self._records = reads.js.names.heard_stream, reads.js.names.heard(session, request)
        self.has_read = False
        """Whether it has read all that was stored. Until then it does not know what was cut."""
        self._limit: asyncio.Timeout | None = None
        self._stopped = False
        self._problem: NodeUnavailable | None = None

    def stop(self) -> None:
        """Wait no longer: `run` ends as at the end of its time. May be called at any time, and twice."""
        self._stopped = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> CutSpeech:
        """Cancel, and return what was heard. See `Client.cancel` for the result. Call it once.

        Raises InvalidRequest, Overloaded, NodeUnavailable, HeardUnreadable. Cancel-safe: the cancel may be stored when
        this call is cancelled.
        """
        before = await self._mark()
        cancel_seq = await store_cancel(self._reads.js, self._session_id, self._request_id)
        cut = CutUtterances(cancel_seq, self._request_id, reports_before=before)
        unseen_until = asyncio.get_running_loop().time() + UNSEEN_S
        try:
            async with asyncio.timeout(0 if self._stopped else self._timeout_s) as self._limit:
                places, sees_all = await self._read_stored(cut, cancel_seq)
                self.has_read = True
                if not (sees_all and cut.settled):
                    await self._follow(cut, places, None if sees_all else unseen_until)
        except TimeoutError:
            if not self.has_read:
                raise HeardUnreadable(cancel_seq, self._problem) from None
        finally:
            self._limit = None
        return CutSpeech(cancel_seq, cut.result())

    async def _mark(self) -> int | None:
        """The sequence of the last report of what will be cancelled; None if it is not known within MARK_S."""
        with contextlib.suppress(TimeoutError, NodeUnavailable):
            async with asyncio.timeout(MARK_S):
                return await self._reads.end_of(*self._reports)
        return None

    async def _read_stored(self, cut: CutUtterances, cancel_seq: int) -> tuple[tuple[int, int], bool]:
        """Read what is stored, and try again while nobody answers.

        Returns the last sequences of reports and records, and whether the stored requests without a report were seen.
        """
        backoff = Backoff(0.1, 1.0)
        while True:
            try:
                # In this order: a request that has left the stream of requests has a final report by then, and the
                # records are as new as the reports, or newer.
                sees_all = await self._read_requests(cut, cancel_seq)
                reports = await self._reads.stored_under(*self._reports)
                records = await self._reads.stored_under(*self._records)
            except NodeUnavailable as exc:
                self._problem = exc
                if isinstance(exc, NoResponders):
                    for stream, _ in (self._reports, self._records):
                        self._reads.no_gateway(stream)
                await asyncio.sleep(backoff.next_s())
                continue
            for message in reports:
                _add_report(cut, message)
            for message in records:
                _add_record(cut, message)
            return (_last(reports), _last(records)), sees_all

    async def _read_requests(self, cut: CutUtterances, cancel_seq: int) -> bool:
        """Read the requests that may have no report yet. Returns whether all of them were seen."""
        reads = self._reads
        if self._request_id is not None:
            report = await reads.report(self._session, self._request, patience_s=0)
            if report is not None and report.status == "queued":
                cut.add_queued(report.session_id, report.request_id, report.request_seq)
            return True
        if not await reads.direct(reads.js.names.sessions_stream):
            return False
        async with contextlib.aclosing(later_requests(reads.js, self._session, 0)) as messages:
            async for message in messages:
                if message.sequence >= cancel_seq:
                    break
                stored = read_message(message, reads.js.names, max_text_chars=reads.max_text_chars)
                if isinstance(stored, StoredRequest):
                    cut.add_queued(stored.session_id, stored.request_id, stored.sequence)
        return True

    async def _follow(self, cut: CutUtterances, places: tuple[int, int], unseen_until: float | None) -> None:
        """Add what is stored from now on. Returns when all is settled, and not before `unseen_until` (loop time)."""
        changed = asyncio.Event()
        clock = asyncio.get_running_loop().time
        reports = self._reads.feed(*self._reports, wake=changed.set, after=places[0])
        records = self._reads.feed(*self._records, wake=changed.set, after=places[1])
        async with reports, records:
            while True:
                changed.clear()
                _drain(cut, reports, records)
                waits_s = 0.0 if unseen_until is None else unseen_until - clock()
                if cut.settled and waits_s <= 0:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(waits_s if waits_s > 0 else None):
                        await changed.wait()


def _drain(cut: CutUtterances, reports: CallerFeed, records: CallerFeed) -> None:
    while (message := reports.pop()) is not None:
        _add_report(cut, message)
    while (message := records.pop()) is not None:
        _add_record(cut, message)


def _add_report(cut: CutUtterances, message: Stored) -> None:
    with contextlib.suppress(Undecodable, ValueError):
        cut.add_report(Report.decode(message.data), message.sequence)


def _add_record(cut: CutUtterances, message: Stored) -> None:
    state = heard_state_of(message)
    if state is not None:
        cut.add_record(state.heard, state.revision)


def _last(messages: list[Stored]) -> int:
    return messages[-1].sequence if messages else 0
