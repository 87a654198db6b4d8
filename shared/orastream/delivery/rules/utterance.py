"""The state machine that delivers one utterance. Pure; times are monotonic seconds.

The runner calls a method for each event (`audio`, `link_up`, `link_lost`, `confirmed`, …). It calls `poll` for the next
effect and carries it out at once, until `poll` returns None. So no event comes between the decision to write and the
write.

A chunk is *confirmed* when OraServer has answered for it. After a lost link the unconfirmed chunks are written again
from the stream, with the same index and bytes. For this the machine returns `Rewind` and is given the audio from the
start.
"""

# length: one state machine; its events, decisions and counts use the same state

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from orastream.base.backoff import Backoff
from orastream.contract.assembly import Assembly
from orastream.contract.audio import seconds_of
from orastream.contract.audio_messages import AudioChunk, AudioMessage, EndError
from orastream.contract.errors import Code
from orastream.contract.messages import ReportError, Status
from orastream.delivery.rules.confirmation import Confirmation
from orastream.delivery.rules.utterance_effects import (
    Confirm,
    Connect,
    DeliveryRules,
    Effect,
    Fence,
    Finished,
    Progress,
    Rewind,
    WriteChunk,
    WriteComplete,
)

QUEUE_BYTES = 256 << 10


Link = Literal["down", "connecting", "up"]


@dataclass(slots=True)
class UtteranceDelivery:
    """The machine of one utterance. `delivered` is the number of chunks that an earlier owner had confirmed."""

    request_seq: int
    rules: DeliveryRules
    now: float
    delivered: int = 0
    must_fence: bool = False
    asked_at: float | None = None
    """When the request was stored, if known. Used to report `audio_expired` instead of `synth_stalled`."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 2.0))

    progress: Progress = field(init=False)
    link: Link = field(init=False, default="down")
    finished: Finished | None = field(init=False, default=None)
    _assembly: Assembly = field(init=False)
    _queue: deque[AudioChunk] = field(init=False, default_factory=deque)
    _queued_bytes: int = field(init=False, default=0)
    _sent: Confirmation = field(init=False)
    _ever_written: int = field(init=False, default=0)
    _wrote: bool = field(init=False, default=False)
    _complete: Literal["no", "written", "asked"] = field(init=False, default="no")
    _failures: int = field(init=False, default=0)
    _retry_at: float = field(init=False, default=0.0)
    _rewind: bool = field(init=False, default=False)
    _fence: Literal["none", "due", "asked"] = field(init=False, default="none")
    _claimed: bool = field(init=False, default=False)
    _alive_at: float = field(init=False, default=0.0)
    _finished_returned: bool = field(init=False, default=False)
    _counted: int = field(init=False, default=0)
    _confirmed_s: float = field(init=False, default=0.0)
    _counted_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._assembly = Assembly(self.request_seq)
        self.progress = Progress(chunks=self.delivered)
        self._sent = Confirmation(self.rules, self.delivered)
        self._ever_written = self.delivered
        self._alive_at = self.now
        self._fence = "due" if self.must_fence else "none"
        self.backoff = Backoff(self.rules.first_retry_s, self.rules.max_retry_s, rng=self.backoff.rng)

    # ---- events

    def claimed(self, now: float) -> None:
        """A synth has claimed this request: chunks may be written, and the stall timer starts."""
        if not self._claimed:
            self._claimed = True
            self._alive_at = now

    def fenced(self) -> None:
        """The checkpoint with this owner's epoch is stored."""
        self._fence = "none"

    def sign(self, now: float) -> None:
        """Restart the stall timer. While NATS does not answer, missing audio does not mean a stalled synth."""
        self._alive_at = now

    def audio(self, sequence: int, message: AudioMessage, now: float) -> None:
        """Add a stored audio message. Call in stream order."""
        self._alive_at = now
        for chunk in self._assembly.receive(sequence, message):
            if chunk.index < self.progress.chunks:
                self._count_confirmed(chunk)
            elif chunk.index >= self._sent.written:
                self._queue.append(chunk)
                self._queued_bytes += len(chunk.audio)
        end = self._assembly.end
        if end is not None and end.status == "complete":
            self.progress.total_chunks = end.total_chunks
            self.progress.rtf = end.rtf

    def link_up(self) -> None:
        """The link is open and ready for this utterance."""
        self.link = "up"
        self._sent.start_over(self._sent.written)

    def link_lost(self, reason: str, now: float, *, refused: bool = False) -> None:
        """The link broke or could not be opened. `refused`: OraServer answered 4xx, so a retry is of no use.

        Does nothing if the link is down already.
        """
        if self.finished or self.link == "down":
            return
        if self.link == "up":
            self.progress.reconnects += 1
            self.progress.version += 1
        self.link = "down"
        if refused:
            self._finish("failed", "oraserver_refused", f"OraServer refused: {reason}; check ORASERVER_* and its log")
            return
        self._failures += 1
        if self._failures > self.rules.max_retries:
            self._finish(
                "failed", "oraserver_unreachable", f"OraServer: {reason}, after {self._failures} tries; is it running?"
            )
            return
        self._retry_at = now + self.backoff.next_s()
        if self._sent.written > self.progress.chunks or self._complete != "no":
            self._rewind = True

    def confirmed(self, chunks: int, complete: bool, now: float) -> None:
        """OraServer has confirmed the first `chunks` chunks and, if `complete`, the end of the utterance."""
        if self.finished or self.link != "up":
            return
        if chunks > self.progress.chunks or complete:
            self._failures = 0
            self.backoff.reset()
            self.progress.version += 1
        for done in self._sent.answered(chunks, now):
            self.progress.bytes += done.size
            self._confirmed_s = done.begins_s
        self.progress.chunks = max(self.progress.chunks, chunks)
        self._measure()
        if complete:
            self._finish("delivered")

    def cancel(self) -> None:
        """Cancel: write no more of this utterance."""
        self._finish("cancelled")

    # ---- what to do next

    @property
    def wants_audio(self) -> bool:
        """Whether to call `audio` now. If not, leave the audio in the stream."""
        return self.finished is None and not self._rewind and self._queued_bytes < QUEUE_BYTES

    @property
    def expects_audio(self) -> bool:
        """Whether more stored audio may come."""
        return self.finished is None and self._assembly.finished is None

    def poll(self, now: float, *, may_write: bool, room: bool) -> Effect | None:
        """Return the next effect to carry out at once, or None.

        `may_write`: the owner may write, and the machine knows every cancel stored so far. `room`: the link takes more.
        """
        if self.finished is None:
            if self._queued_bytes >= QUEUE_BYTES:
                self._alive_at = now  # synth is not stalled: this queue is full
            if self._assembly.end is not None or not self._queue:  # with audio queued and no end, no check can fail
                self._check_end(now)
        if self.finished is not None:
            if self._finished_returned:
                return None
            self._finished_returned = True
            return self.finished
        if self._rewind:
            self._start_over(now)
            return Rewind()
        if self.link == "down" and now >= self._retry_at:
            self.link = "connecting"
            return Connect()
        if self.link != "up" or not may_write or not self._claimed:
            return None
        if self._fence != "none":
            if self._fence == "due":
                self._fence = "asked"
                return Fence()
            return None
        return self._next_write(now) if room else self._next_confirm(now)

    def next_time(self) -> float | None:
        """When to call `poll` again if no event comes before (monotonic seconds), or None."""
        if self.finished is not None:
            return None
        times = [self._retry_at] if self.link == "down" else []
        if self._stalls:
            times.append(self._alive_at + self.rules.stall_s)
        return min(times, default=None)

    # ---- inside

    @property
    def _stalls(self) -> bool:
        return self._claimed and self._assembly.finished is None and not self._queue

    @property
    def _answers_outstanding(self) -> bool:
        """Whether audio is unwritten or unconfirmed. After a failed synthesis it is still delivered."""
        return self.rules.confirm_every is not None and bool(self._queue or self._sent)

    def _next_write(self, now: float) -> Effect | None:
        confirm = self._next_confirm(now)
        if confirm is not None:
            return confirm
        start, sent = self._assembly.start, self._sent
        if self._queue and start is not None:
            chunk = self._queue[0]
            if sent.holds(chunk):
                return self._ask(now) if sent.asked < sent.written else None
            self._queue.popleft()
            self._queued_bytes -= len(chunk.audio)
            sent.wrote(chunk)
            if sent.written > self._ever_written > self.delivered:
                self._ever_written = sent.written  # not the first chunk here, nor a repeated one
            else:
                self._note_write(chunk)
            return WriteChunk(start, chunk)
        end = self._assembly.finished
        if start is not None and end is not None and end.status == "complete" and self._complete == "no":
            self._complete = "written"
            return WriteComplete(start, end.total_chunks, end.text)
        return None

    def _next_confirm(self, now: float) -> Confirm | None:
        if self._complete == "written" or self._sent.due:
            return self._ask(now)
        end = self._assembly.end
        if end is not None and end.status == "failed" and self._answers_outstanding:
            return self._ask(now) if self._sent.asked < self._sent.written else None
        return None

    def _ask(self, now: float) -> Confirm:
        complete = self._complete == "written"
        if complete:
            self._complete = "asked"
        return Confirm(self._sent.ask(now), complete)

    def _note_write(self, chunk: AudioChunk) -> None:
        if not self._wrote and self.rules.confirm_every is not None:
            self._wrote = True  # checkpoint the first chunk: the listener hears it
            self.progress.version += 1
        if chunk.index < self._ever_written:
            self.progress.retransmitted += 1
        self._ever_written = max(self._ever_written, self._sent.written)

    def _count_confirmed(self, chunk: AudioChunk) -> None:
        """Count a chunk that OraServer has confirmed before: to an earlier owner, or before a rewind."""
        if chunk.index == self._counted:
            self._counted += 1
            self._confirmed_s = max(self._confirmed_s, chunk.pts_ms / 1000)
            self._counted_bytes += len(chunk.audio)
            if self._counted_bytes > self.progress.bytes:
                self.progress.bytes = self._counted_bytes
                self._measure()

    def _measure(self) -> None:
        start = self._assembly.start
        if start is not None:
            seconds = seconds_of(start.format, start.spec, self.progress.bytes)
            if seconds is None:  # the format has no fixed byte rate: use the times of the chunks
                end = self._assembly.finished
                whole = end is not None and end.status == "complete" and self.progress.chunks >= end.total_chunks
                seconds = end.audio_seconds if whole and end is not None else self._confirmed_s
            self.progress.audio_seconds = round(seconds, 3)

    def _start_over(self, now: float) -> None:
        self._rewind = False
        self._alive_at = now  # the audio is read again, which takes time: synth is not stalled
        self._assembly = Assembly(self.request_seq)
        self._queue.clear()
        self._queued_bytes = self._counted = self._counted_bytes = 0
        self._sent.start_over(self.progress.chunks)
        self._complete = "no"

    def _check_end(self, now: float) -> None:
        end = self._assembly.finished
        if end is not None and end.status == "cancelled":
            self._finish("cancelled")
        elif end is not None and end.status == "failed" and not self._queue and not self._answers_outstanding:
            error = end.error or EndError("engine_error", "synthesis failed; see synth's log")
            self._finish("failed", error.code, error.message)
        elif self._stalls and now >= self._alive_at + self.rules.stall_s:
            since = self.now if self.asked_at is None else min(self.now, self.asked_at)
            if self._assembly.start is None and now - since > self.rules.audio_retention_s:
                self._finish("failed", "audio_expired", "the audio was not fetched within TTS_AUDIO_RETENTION_SECONDS")
            else:
                self._finish(
                    "failed", "synth_stalled", f"no audio for {self.rules.stall_s:g} s; are synth and its engine alive?"
                )

    def _finish(self, status: Status, code: Code | None = None, message: str = "") -> None:
        if self.finished is None:
            self.finished = Finished(status, ReportError.of(code, message) if code else None)
