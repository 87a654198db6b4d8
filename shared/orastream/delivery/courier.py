"""Carries one utterance: does what the pure machine says with a feed, a link and the report.

Everything runs in the session's task, but for what must be waited for (connect, confirm, report writes): these are
tasks of the session's group that tell the machine the outcome and wake the session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from orastream import streams, subjects
from orastream.delivery.effects import Complete, Confirm, Connect, Fence, Finished, Rewind, Write
from orastream.delivery.entry import Entry
from orastream.delivery.sink import Link, LinkLost, Speech
from orastream.delivery.utterance import Utterance
from orastream.errors import NodeUnavailable, Undecodable
from orastream.feed import Feed
from orastream.jetstream import JetStream
from orastream.messages import Report
from orastream.packets import unpack
from orastream.reports import Reports, Verdict, Written

CHECKPOINT_EVERY_S = 0.2

log = structlog.get_logger()


class Host(Protocol):
    """What a courier needs of its session."""

    js: JetStream
    reports: Reports
    epoch: int

    def wake(self) -> None:
        """Run the session's loop again, all of it."""
        ...

    def nudge(self) -> None:
        """Run it again for the utterance alone."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A task of the session's group."""
        ...

    async def link(self, session_id: str, phone_id: str) -> Link:
        """The open link of that phone, or a new one. Raises LinkLost."""
        ...

    def reported(self, entry: Entry, written: Written) -> None:
        """A report of ours was tried; the verdict may end this owner."""
        ...


class Courier:
    """Delivery of one entry. `step(now, may_write)` does all that can be done now."""

    def __init__(self, host: Host, entry: Entry, utterance: Utterance, observe: Callable[[str, float], None]) -> None:
        request = entry.stored.request
        assert request is not None, "only a valid request has a transport"
        self.entry = entry
        self.machine = utterance
        self.done = False
        self._host = host
        self._observe = observe
        self._speech = Speech(
            request.session_id, request.phone_id, entry.stored.request_id, entry.stored.token, request.text
        )
        self._feed: Feed | None = None
        self._link: Link | None = None
        self._base = entry.report
        self._writing = asyncio.Lock()
        self._checkpointed = 0
        self._checkpoint_at = 0.0
        self._first_write_wall_s: float | None = None
        self._last_confirmed_wall_s: float | None = None

    async def open(self) -> None:
        """Begin to read the utterance's audio."""
        stored = self.entry.stored
        feed = Feed(self._host.js, streams.AUDIO, subjects.audio(stored.session, stored.token), wake=self._host.nudge)
        await feed.__aenter__()
        self._feed = feed

    async def close(self) -> None:
        """Stop reading. Nothing is written any more."""
        self.done = True
        if self._feed is not None:
            await self._feed.__aexit__(None, None, None)
            self._feed = None

    # ---- one round

    async def step(self, now: float, *, may_write: bool) -> None:
        """Feed the machine and do what it says, until there is nothing to do now."""
        if self.entry.report is not None and not self.entry.duplicate:
            if self._base is None:
                self._base = self.entry.report
            self.machine.claimed(now)
        if self._link is not None and self._link.lost is not None:
            lost, self._link = self._link.lost, None
            self._lost(lost, now)
        while True:
            self._take_audio(now)
            room = self._link is not None and self._link.room
            effect = self.machine.poll(now, may_write=may_write, room=room)
            match effect:
                case None:
                    break
                case Write():
                    assert self._link is not None
                    if self._first_write_wall_s is None:
                        self._first_write_wall_s = time.time()
                    self._link.write(effect.start, effect.chunk)
                    self._observe("chunk", len(effect.chunk.audio))
                case Complete():
                    assert self._link is not None
                    if self._first_write_wall_s is None or self.machine.rules.confirm_every is None:
                        self._first_write_wall_s = time.time()
                    self._link.complete(effect.start, effect.total_chunks)
                case Confirm():
                    assert self._link is not None
                    self._host.spawn(self._confirm(self._link, effect))
                case Connect():
                    self._host.spawn(self._connect())
                case Rewind():
                    await self._rewind()
                case Fence():
                    self._host.spawn(self._fence())
                case Finished():
                    self._host.spawn(self._finish(effect))
        if self._feed is not None:
            self._feed.expecting = self.machine.expects_audio
        self._checkpoint(now)

    def _take_audio(self, now: float) -> None:
        while self._feed is not None and self.machine.wants_audio and (message := self._feed.pop()) is not None:
            try:
                self.machine.audio(message.sequence, unpack(message.data), now)
            except Undecodable as exc:
                log.error("stored audio cannot be read", subject=message.subject, error=str(exc))

    async def _rewind(self) -> None:
        if self._feed is not None:
            await self._feed.__aexit__(None, None, None)
        await self.open()

    # ---- what is waited for

    def _lost(self, lost: LinkLost, now: float) -> None:
        log.warning("link to OraServer lost", reason=str(lost), refused=lost.refused)
        self._observe("reconnect", 1)
        self.machine.link_lost(str(lost), now, refused=lost.refused)

    async def _connect(self) -> None:
        try:
            link = await self._host.link(self._speech.session_id, self._speech.phone_id)
        except LinkLost as exc:
            self._lost(exc, _now())
        else:
            link.begin(self._speech)
            self._link = link
            self.machine.link_up()
        self._host.wake()

    async def _confirm(self, link: Link, asked: Confirm) -> None:
        try:
            await link.confirm()
        except LinkLost as exc:
            if link is self._link:
                self._link = None
                self._lost(exc, _now())
        else:
            if link is self._link:
                self._last_confirmed_wall_s = time.time()
                self.machine.confirmed(asked.chunks, asked.complete, _now())
        self._host.nudge()

    # ---- reports

    def report(self) -> Report | None:
        """The report as it should stand now, or None before the claim."""
        base, progress = self._base, self.machine.progress
        if base is None:
            return None
        first = base.first_audio_ms
        if first is None and self._first_write_wall_s is not None:
            first = round(max(0.0, self._first_write_wall_s - self.entry.stored.stored_at_s) * 1000, 1)
        transfer = base.transfer_ms
        if first is not None and self._last_confirmed_wall_s is not None:
            since = self._last_confirmed_wall_s - self.entry.stored.stored_at_s
            transfer = round(max(0.0, since * 1000 - first), 1)
        return base.with_(
            epoch=self._host.epoch,
            status="delivering" if first is not None else base.status,
            total_chunks=progress.total_chunks if progress.total_chunks is not None else base.total_chunks,
            delivered_chunks=progress.chunks,
            bytes=max(base.bytes, progress.bytes),
            audio_seconds=max(base.audio_seconds, progress.audio_seconds),
            first_audio_ms=first,
            transfer_ms=transfer,
            reconnects=base.reconnects + progress.reconnects,
            retransmitted=base.retransmitted + progress.retransmitted,
        )

    def _checkpoint(self, now: float) -> None:
        due = self.machine.progress.version > self._checkpointed and now >= self._checkpoint_at
        if due and self.machine.finished is None and not self._writing.locked():
            self._checkpoint_at = now + CHECKPOINT_EVERY_S
            self._checkpointed = self.machine.progress.version
            self._host.spawn(self._write_progress())

    async def _write_progress(self) -> None:
        async with self._writing:
            report = self.report()
            if report is None or self.machine.finished is not None or self.done:
                return
            try:
                written = await self._host.reports.write(self.entry.stored, report, self.entry.revision or None)
            except NodeUnavailable as exc:
                log.debug("a checkpoint was not written; the next one will be", error=str(exc))
                return
            self._host.reported(self.entry, written)

    async def checkpoint(self) -> None:
        """Write the state now, for whoever takes over. Raises NodeUnavailable."""
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
        self.done = True
        self._host.reported(self.entry, written)
        self._host.wake()

    async def _persist(self, report: Report) -> Written:
        """Write until an answer comes: a final report is owed however long NATS is away."""
        while True:
            try:
                return await self._host.reports.write(self.entry.stored, report, self.entry.revision or None)
            except NodeUnavailable as exc:
                log.warning("a report waits for NATS", error=str(exc))
                await asyncio.sleep(0.5)


def _now() -> float:
    return asyncio.get_running_loop().time()
