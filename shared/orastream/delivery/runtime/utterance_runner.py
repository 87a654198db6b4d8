"""Delivers one utterance: carries out the effects of its machine with a feed, a link and the report.

Work runs in the session's task. Work that waits (connect, confirm, write a report) runs in tasks of the session's
group, which report the outcome to the machine and wake the session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from orastream import traces
from orastream.base import logger
from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import unpack
from orastream.contract.errors import NodeUnavailable, Undecodable
from orastream.contract.messages import Report
from orastream.contract.report_state import Verdict
from orastream.delivery.rules.checkpoint import CheckpointClock, report_of
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.timing import Timing
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    Confirm,
    Connect,
    Effect,
    Fence,
    Finished,
    Rewind,
    WriteChunk,
    WriteComplete,
)
from orastream.delivery.runtime.context import DeliveryCounts
from orastream.delivery.runtime.host import Host
from orastream.delivery.sink import Link, LinkLost, Speech
from orastream.jetstream.feed import Feed
from orastream.jetstream.report_store import Written

log = logger.named(__name__)


class UtteranceRunner:
    """Delivers one entry. Call `open`, then `step` in each round until `done`, then `close`. Used from one task."""

    def __init__(
        self, host: Host, entry: Entry, utterance: UtteranceDelivery, counts: DeliveryCounts, kind: str
    ) -> None:
        request = entry.stored.request
        assert request is not None, "only a valid request has a transport"
        self.entry = entry
        self.machine = utterance
        self.done = False
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._counts = counts
        self._speech = Speech(
            request.session_id, request.phone_id, entry.stored.request_id, entry.stored.token, request.text
        )
        self._feed: Feed | None = None
        self._link: Link | None = None
        self._base = entry.report
        self._writing = asyncio.Lock()
        self._clock = CheckpointClock()
        self._timing = Timing(entry.stored.stored_at_s, piecewise=utterance.rules.confirm_every is not None)
        about = traces.taken(entry.stored, "deliver", kind)
        about |= {"orastream.epoch": host.epoch, "orastream.delivered_before": utterance.delivered}
        self._span = traces.begin(f"{kind} deliver", parent=entry.stored.trace, kind="consumer", attributes=about)

    async def open(self) -> None:
        """Start the feed of the utterance's audio."""
        stored = self.entry.stored
        feed = Feed(
            self._host.js, stream_names.AUDIO, subjects.audio(stored.session, stored.token), wake=self._host.nudge
        )
        await feed.__aenter__()
        self._feed = feed

    async def close(self) -> None:
        """Stop the feed and end the trace span. Nothing is written to OraServer any more."""
        self._trace_times()
        if not self.done:
            self._span.event("broken off", {"orastream.chunks": self.machine.progress.chunks})
        self._span.end()
        self.done = True
        self._counts.retransmitted(self.machine.progress.retransmitted)
        if self._feed is not None:
            await self._feed.__aexit__(None, None, None)
            self._feed = None

    # ---- one round

    async def step(self, now: float, *, may_write: bool) -> None:
        """Pass audio to the machine and carry out its effects, until it returns none. `now` is in monotonic seconds."""
        if (claim := self.entry.resumes) is not None:
            if self._base is None:
                self._base = claim
            self.machine.claimed(now)
        if self._link is not None and self._link.lost is not None:
            lost, self._link = self._link.lost, None
            self._lost(lost, now)
        self._take_audio(now)
        while True:
            room = self._link is not None and self._link.room
            effect = self.machine.poll(now, may_write=may_write, room=room)
            if effect is not None:
                await self._apply(effect)
            elif not self._take_audio(now):
                break
        if self._feed is not None:
            self._feed.expecting = self.machine.expects_audio
        self._checkpoint(now)

    async def _apply(self, effect: Effect) -> None:
        """Do what the machine says. It writes only while there is a link."""
        match effect:
            case WriteChunk():
                assert self._link is not None
                self._timing.wrote(effect.chunk, self._base, time.time())
                self._link.write(effect.start, effect.chunk)
                self._counts.chunk_written(len(effect.chunk.audio))
            case WriteComplete():
                assert self._link is not None
                self._timing.completed(time.time())
                self._link.complete(effect.start, effect.total_chunks, effect.text)
            case Confirm():
                assert self._link is not None
                self._ask(self._link, effect)
            case Connect():
                self._host.spawn(self._connect())
            case Rewind():
                await self._rewind()
            case Fence():
                self._host.spawn(self._fence())
            case Finished():
                self._host.spawn(self._finish(effect))

    def _take_audio(self, now: float) -> bool:
        """Pass audio from the feed to the machine, as much as it wants. Return whether there was any."""
        feed, machine, took = self._feed, self.machine, False
        while feed is not None and machine.wants_audio and (message := feed.pop()) is not None:
            took = True
            try:
                machine.audio(message.sequence, unpack(message.data), now)
            except Undecodable as exc:
                log.error("stored audio cannot be read", subject=message.subject, error=str(exc))
        return took

    async def _rewind(self) -> None:
        if self._feed is not None:
            await self._feed.__aexit__(None, None, None)
        await self.open()

    # ---- connect and confirm

    def _lost(self, lost: LinkLost, now: float) -> None:
        log.warning(
            "link to OraServer lost", request=self.entry.stored.request_id, reason=str(lost), refused=lost.refused
        )
        self._counts.link_lost()
        self._span.event("link lost", {"reason": str(lost), "refused": lost.refused})
        self.machine.link_lost(str(lost), now, refused=lost.refused)

    async def _connect(self) -> None:
        try:
            link = await self._host.link(self._speech.session_id, self._speech.phone_id)
        except LinkLost as exc:
            self._lost(exc, self._loop.time())
        else:
            link.begin(self._speech)
            self._link = link
            self._span.event("link up")
            self.machine.link_up()
        self._host.wake()

    def _ask(self, link: Link, asked: Confirm) -> None:
        answer = link.confirm()
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(lambda done: self._answered(link, asked, done.exception()))
        else:
            self._host.spawn(self._confirm(link, asked, answer))

    async def _confirm(self, link: Link, asked: Confirm, answer: Awaitable[None]) -> None:
        try:
            await answer
        except LinkLost as exc:
            self._answered(link, asked, exc)
        else:
            self._answered(link, asked, None)

    def _answered(self, link: Link, asked: Confirm, failure: BaseException | None) -> None:
        if link is not self._link or self.done:
            pass  # the link of this answer is not in use any more
        elif isinstance(failure, LinkLost):
            self._link = None
            self._lost(failure, self._loop.time())
        elif failure is None:
            self._timing.confirmed(time.time())
            self.machine.confirmed(asked.chunks, asked.complete, self._loop.time())
        self._host.nudge()

    # ---- reports

    def report(self) -> Report | None:
        """The report for the current progress, or None before a synth has claimed the request."""
        base, progress = self._base, self.machine.progress
        if base is None:
            return None
        return report_of(base, progress, self._timing.figures(base), self._host.epoch)

    def _checkpoint(self, now: float) -> None:
        version = self.machine.progress.version
        if self._clock.due(version, now) and self.machine.finished is None and not self._writing.locked():
            self._clock.taken(version, now)
            self._host.spawn(self._write_progress())

    async def _write_progress(self) -> None:
        async with self._writing:
            report = self.report()
            if report is None or self.machine.finished is not None or self.done:
                return
            try:
                written = await self._host.reports.write(self.entry.stored, report, self.entry.revision or None)
            except NodeUnavailable as exc:
                log.debug("a checkpoint was not written; a later one replaces it", error=str(exc))
                return
            self._host.reported(self.entry, written)

    async def checkpoint(self) -> None:
        """Write a checkpoint now, from which the next owner resumes. Raises NodeUnavailable."""
        async with self._writing:
            report = self.report()
            if report is not None and self.machine.finished is None:
                await self._host.reports.write(self.entry.stored, report, self.entry.revision or None)

    async def _fence(self) -> None:
        async with self._writing:
            report = self.report()
            assert report is not None, "the machine fences only after the claim"
            written = await self._persist(report.with_(epoch=self._host.epoch))
            self._host.reported(self.entry, written)
            if written.verdict is Verdict.WRITTEN:
                self.machine.fenced()
        self._host.wake()

    async def _finish(self, finished: Finished) -> None:
        if finished.status != "delivered" and self._link is not None:
            link, self._link = self._link, None
            await link.abandon()
        async with self._writing:
            report = self.report() or self.entry.stored.report("queued")
            final = report.with_(status=finished.status, error=finished.error, epoch=self._host.epoch)
            written = await self._persist(final)
        traces.settle(self._span, written.state.report)
        self.done = True
        self._host.reported(self.entry, written)
        self._host.wake()

    def _trace_times(self) -> None:
        for name, at_s in self._timing.marks():
            self._span.event(name, at_s=at_s)

    async def _persist(self, report: Report) -> Written:
        """Write the report, with retries until NATS answers: a fence or a final report must not be lost."""
        while True:
            try:
                return await self._host.reports.write(self.entry.stored, report, self.entry.revision or None)
            except NodeUnavailable as exc:
                log.warning("report not written; retrying", request=self.entry.stored.request_id, error=str(exc))
                await asyncio.sleep(0.5)
