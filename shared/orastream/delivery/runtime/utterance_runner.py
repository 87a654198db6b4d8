"""Delivers one utterance: carries out the effects of its machine with a feed, a link and the report.

Work runs in the session's loop, work that waits (connect, confirm, write a report) in background tasks, whose outcomes
the loop passes to `apply`. One report is written at a time.
"""

# length: one delivery; its effects and the outcomes of its tasks use the same state

from __future__ import annotations

import asyncio
import time

from orastream import traces
from orastream.base import logger, tasks
from orastream.contract.audio_messages import unpack
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.contract.report_state import Verdict
from orastream.delivery.rules.checkpoint import CheckpointClock, final_of, report_of
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.live_progress import DeliveryFigures
from orastream.delivery.rules.play_time import PlayedUtterance, played_utterance
from orastream.delivery.rules.session_outcomes import Purpose, ReportWritten
from orastream.delivery.rules.streams.opening import stream_request
from orastream.delivery.rules.timing import Timing
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    AskAudioRoom,
    Confirm,
    Connect,
    CutLink,
    DropUnsent,
    Effect,
    FallBack,
    Fence,
    Finished,
    OpenUtterance,
    Rewind,
    WriteChunk,
    WriteComplete,
    WriteEnd,
    WriteFailed,
)
from orastream.delivery.runtime.audio_room import ask_audio_room
from orastream.delivery.runtime.context import SessionContext
from orastream.delivery.runtime.links import pass_answer
from orastream.delivery.runtime.outcomes import (
    Answered,
    AudioRoomSeen,
    CheckpointSkipped,
    DeliveryOutcome,
    LinkFailed,
    LinkOpened,
)
from orastream.delivery.runtime.progress_publisher import figures_of
from orastream.delivery.runtime.report_writer import ReportWriter
from orastream.delivery.runtime.sent_audio import SentAudio
from orastream.delivery.sink import Link, LinkLost, ResumingLink, Speech
from orastream.jetstream.feed import Feed

WRITE_ENDS_S = 1.0  # how long the last checkpoint waits for the write that is running: NATS may not answer

LinkEffect = WriteChunk | WriteComplete | Confirm | DropUnsent | CutLink | OpenUtterance | WriteFailed

log = logger.named(__name__)


class UtteranceRunner:
    """Delivers one entry. Call `open`, then `step` in each round until `done`, then `close`. Used from one task."""

    def __init__(self, session: SessionContext, entry: Entry, utterance: UtteranceDelivery) -> None:
        self.entry = entry
        self.machine = utterance
        self.done = False
        """Nothing is left to do: a final report is stored, another owner writes the report, or `close` was called."""
        self.falls_back = False
        """This transport does not work: close it, and deliver the utterance over the fallback."""
        self.plays: PlayedUtterance | None = None
        """The delivered utterance, which a cancel may end while it plays; only with end frames."""
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._counts = session.bridge.counts
        self._speech = Speech.of(entry.stored, with_rate=session.bridge.sink.metadata_rate)
        self._feed: Feed | None = None
        self._link: Link | None = None
        """The open link while `machine.link` is UP, else None."""
        self._base = entry.report
        self._reports = ReportWriter(session.reports, entry)
        self._live = session.progress
        """Gets the utterance when its first audio was written; None after that, and over HTTP."""
        self._lost_bytes = 0
        """Bytes that were sent again over links of protocol v2 that are lost."""
        self._write: asyncio.Task[None] | None = None
        """The task that writes a report now."""
        self._connecting: asyncio.Task[None] | None = None
        self._fence_due = False
        self._skipped_bytes = 0
        """Bytes that OraServer has left out, as it has said to this owner."""
        self._finished: Finished | None = None
        """The final status to write when no other write is running."""
        self._clock = CheckpointClock()
        asked_at = session.bridge.js.clock.monotonic_at(entry.stored.stored_at_s)
        self._timing = Timing(asked_at, piecewise=utterance.rules.confirm_every is not None)
        began_at = self._timing.began_at(self._base)
        self._sent = SentAudio(session.heard, session.listener, entry.stored, utterance, began_at)
        about = traces.taken(session.bridge.js.names, entry.stored, "deliver", kind := session.bridge.kind)
        about |= {"orastream.epoch": session.epoch, "orastream.delivered_before": utterance.delivered}
        self._span = traces.begin(f"{kind} deliver", parent=entry.stored.trace, kind="consumer", attributes=about)

    async def open(self) -> None:
        """Start the feed of the utterance's audio."""
        self._feed = await self._session.audio.open(self.entry.stored, self.entry.asked_at, self._session.wake)

    def note_sent(self) -> None:
        """Note what the link has sent by itself since the last round."""
        if self._link is not None and (link := self._link.resuming) is not None:
            self.machine.progress.sent(link.sent_s)  # before a loss: what was sent last counts, too
            self._sent.look(self._link)

    def cut(self) -> None:
        """Cut audio on its way: the next owner does not know this link, and what it cancels must not arrive."""
        if self.machine.on_its_way and self._link is not None:
            self._link.cut()

    async def close(self) -> None:
        """Stop the feed and end the trace span. Nothing is written to OraServer any more."""
        self._trace_times()
        if (live := self._session.progress) is not None:
            live.delivery_over(self.entry.sequence, None if self.falls_back else self.machine.finished)
        self.cut()
        if self.machine.finished is None or self.falls_back:  # a later delivery must not get their outcomes
            await tasks.end(*(task for task in (self._write, self._connecting) if task is not None))
        if self._link is not None:
            self._link.end()
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
        self.note_sent()
        if self._link is not None and self._link.lost is not None:
            self._lost(self._link.lost, now)
        if self._link is not None and (link := self._link.resuming) is not None:
            self._note_resuming(link, now)
        self._take_audio(now)
        while True:
            room = self._link is not None and self._link.room
            effect = self.machine.poll(now, may_write=may_write, room=room)
            if effect is not None:
                await self._carry_out(effect)
            elif not self._take_audio(now):
                break
        if self._feed is not None:
            self._feed.expecting = self.machine.expects_audio
            self._feed.limit(self.machine.feed_bytes(now))
        if self._live is not None and self.machine.has_written:
            self._live.begin(self.entry.stored, self._figures)
            self._live = None
        self._write_next(now)

    def _figures(self) -> DeliveryFigures:
        """Look at the delivery, for its live progress."""
        self.note_sent()  # what is played is counted from what was sent
        return figures_of(self.machine, self._link, self._lost_bytes)

    def _note_resuming(self, link: ResumingLink, now: float) -> None:
        """Note what OraServer has said over a link that resumes."""
        self._skipped_bytes = max(self._skipped_bytes, link.skipped_bytes)
        if self.machine.opening and (upto := link.opened_upto) is not None:
            self.machine.opened(upto, now)

    def apply(self, outcome: DeliveryOutcome | ReportWritten, now: float) -> None:
        """Take the outcome of a background task of this delivery. Outcomes of a link not in use are ignored."""
        match outcome:
            case LinkOpened(link=link) if self.machine.finished is None:
                link.begin(self._speech)
                self._link = link
                self._span.event("link up")
                self.machine.link_up(quick=link.quick, resumes=link.resuming is not None)
            case LinkFailed(lost=lost):
                self._lost(lost, now)
            case Answered(link=link, asked=asked, failure=failure) if link is self._link:
                if isinstance(failure, LinkLost):
                    self._lost(failure, now)
                elif failure is None:
                    self._timing.confirmed(time.monotonic())
                    self.machine.confirmed(asked.chunks, asked.complete, now)
                    link.quick = self.machine.quick
            case CheckpointSkipped():
                self._write = None
                self._clock.skipped()
            case AudioRoomSeen(full=full):
                self.machine.audio_room(full, now)
            case ReportWritten(_, purpose, verdict, state):
                self._write = None
                if purpose is Purpose.FENCE and verdict is Verdict.WRITTEN:
                    self.machine.fenced()
                elif purpose is Purpose.DELIVERY_END:
                    traces.record(self._span, state.report)
                    self.done = True

    async def _carry_out(self, effect: Effect) -> None:
        """Do what the machine says."""
        match effect:
            case (
                WriteChunk() | WriteComplete() | Confirm() | DropUnsent() | CutLink() | OpenUtterance() | WriteFailed()
            ):
                assert self._link is not None, "the machine returns these only while the link is up"
                self._use_link(self._link, effect)
            case Connect():
                self._connecting = self._session.background.start(self._connect())
            case Rewind():
                await self._rewind()
            case Fence():
                self._fence_due = True
            case AskAudioRoom():
                self._session.background.start(ask_audio_room(self._session.bridge.js, self.entry))
            case WriteEnd():
                self._session.ends.write(self.entry, self._speech, self.machine.finished, effect, self._link)
            case FallBack() | Finished():
                self.falls_back = isinstance(effect, FallBack)
                self._finished, link = effect if isinstance(effect, Finished) else None, self._link
                if (self._finished is None or self._finished.status != "delivered") and link is not None:
                    if not self.machine.end_written:  # else it was abandoned before
                        link.abandon()
                    self._link = None
                self._session.ends.delivery_over(link)
                self.plays = played_utterance(self.entry, self.machine, self._speech, self._timing.began_at(self._base))

    def _use_link(self, link: Link, effect: LinkEffect) -> None:
        match effect:
            case WriteChunk():
                self._timing.wrote(effect.chunk, self._base, time.monotonic())
                link.write(effect.start, effect.chunk, effect.began)
                self._sent.wrote(link, effect.start, effect.chunk, self._loop.time())
                self._counts.chunk_written(len(effect.chunk.audio))
            case WriteComplete():
                self._timing.completed(time.monotonic())
                link.complete(effect.start, effect.end)
                self._sent.completed(link, effect.end, self._loop.time())
            case OpenUtterance():
                assert link.resuming is not None, "the machine returns it only for a resuming link"
                request = stream_request(self.entry, self._session.epoch, effect, self.machine.rules)
                link.resuming.open(request, self._session.listener)
            case WriteFailed():
                assert link.resuming is not None, "the machine returns it only for a resuming link"
                link.resuming.failed(effect.code)
            case Confirm():
                self._ask(link, effect)
            case DropUnsent():
                link.abandon()
                if link.lost is not None:
                    self._link = None
                    self.machine.link_lost(str(link.lost), self._loop.time())
            case CutLink():
                log.info("link to OraServer cut: audio was on its way", request=self._speech.request_id)
                link.cut()
                self._link = None

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
        if self._link is not None and self._link.resuming is None:
            self._link.begin(self._speech)  # drops what was collected for a POST
        if self._feed is not None:
            await self._feed.__aexit__(None, None, None)
        await self.open()

    # ---- connect and confirm

    def _lost(self, lost: LinkLost, now: float) -> None:
        if self._link is not None and self._link.resuming is not None:
            self._lost_bytes += self._link.resuming.retransmitted_bytes
        self._link = None
        log.warning("link to OraServer lost", request=self._speech.request_id, reason=str(lost), refused=lost.refused)
        self._counts.link_lost()
        self._span.event("link lost", {"reason": str(lost), "refused": lost.refused})
        if lost.cancelled:
            self.machine.cancel()
        self.machine.link_lost(str(lost), now, refused=lost.refused)

    async def _connect(self) -> LinkOpened | LinkFailed:
        speech, links = self._speech, self._session.links
        try:
            link = await links.get(speech.session_id, speech.phone_id, self._loop.time())
        except LinkLost as exc:
            return LinkFailed(self.entry, exc)
        return LinkOpened(self.entry, link)

    def _ask(self, link: Link, asked: Confirm) -> None:
        answer = link.confirm(self._session.may_write)
        pass_answer(answer, self._session.background, lambda failure: Answered(self.entry, link, asked, failure))

    # ---- reports

    def report(self) -> Report | None:
        """The report for the current progress, or None before a synth has claimed the request."""
        base, progress = self._base, self.machine.progress
        if base is None:
            return None
        skipped = max(base.skipped_bytes, self._skipped_bytes)
        figures = {**self._timing.figures(base), "fallback": self._session.fallback, "skipped_bytes": skipped}
        return report_of(base, progress, figures, self._session.epoch)

    def _write_next(self, now: float) -> None:
        """Start to write the next report if one is due and none is being written."""
        if self._write is not None:
            return
        if self._finished is not None:
            current = self.report() or self.entry.stored.report("queued")
            finished, self._finished = self._finished, None
            final = final_of(current, finished.status, finished.error, self._session.epoch)
            self._write = self._session.background.start(self._reports.persist(final, Purpose.DELIVERY_END))
        elif self.machine.finished is None:
            due = self._clock.due(version := self.machine.progress.version, now)
            report = self.report() if due or self._fence_due else None
            if report is not None and self._fence_due:
                self._fence_due = False
                self._write = self._session.background.start(self._reports.persist(report, Purpose.FENCE))
            elif report is not None:
                self._clock.taken(version, now)
                self._write = self._session.background.start(self._reports.progress(report))

    async def checkpoint(self) -> None:
        """Write a checkpoint now, from which the next owner resumes. Raises NodeUnavailable."""
        if self.machine.finished is not None:
            return
        if self._write is not None:
            await asyncio.wait({self._write}, timeout=WRITE_ENDS_S)
            await tasks.end(self._write)  # else it could replace the checkpoint below by an older one
        if (report := self.report()) is not None:
            await self._reports.store(report, Purpose.CHECKPOINT)

    def _trace_times(self) -> None:
        now_s, now = time.time(), time.monotonic()  # a span's times are of this host's clock, not of the server's
        for name, at in self._timing.marks():
            self._span.event(name, at_s=now_s - (now - at))
