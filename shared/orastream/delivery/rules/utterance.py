"""The state machine that delivers one utterance. Pure; times are monotonic seconds.

The runner calls a method for each event (`audio`, `link_up`, `link_lost`, `confirmed`, …). It calls `poll` for the next
effect and carries it out at once, until `poll` returns None. So no event comes between the decision to write and the
write.

A chunk is *confirmed* when OraServer has answered for it. After a lost link the unconfirmed chunks are written again
from the stream, with the same index and bytes. For this the machine returns `Rewind` and is given the audio from the
start.

Over a *resuming* link (protocol v2) OraServer says at which byte the audio goes on: `OpenUtterance` asks, and `opened`
is the answer, which counts more than what was confirmed before. Such a link keeps its own order of audio and cancels,
and its receiver knows which owner is the newest, so it is never cut.

An utterance whose audio is complete without a chunk is delivered, and nothing of it is written: its text had nothing to
say. One that `may_be_silent` therefore begins at OraServer, and fails because of it, only when it has a chunk.
"""

# length: one state machine; its events and decisions use the same state

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from orastream.base.backoff import Backoff
from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioMessage, AudioStart, EndError
from orastream.contract.errors import Code
from orastream.contract.messages import ReportError, Status
from orastream.contract.spoken_text import SpokenText
from orastream.delivery.rules.audio_room import AudioWait
from orastream.delivery.rules.confirmation import Confirmation, WrittenChunk
from orastream.delivery.rules.end_frames import EndFrameState, ended_as
from orastream.delivery.rules.progress import Progress
from orastream.delivery.rules.resuming import OpenState, Resuming
from orastream.delivery.rules.utterance_effects import (
    UNDELIVERABLE,
    AskAudioRoom,
    Confirm,
    Connect,
    CutLink,
    DeliveryRules,
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

QUEUE_BYTES = 96 << 10
"""Audio that the machine queues. The rest stays in the feed, or in the stream."""
FEED_BYTES, SLOW_FEED_BYTES = 1 << 20, 64 << 10
"""Audio that the feed may buffer, and while the receiver is slow."""
SLOW_S = 1.0
"""The receiver is slow while nothing was written for this long, although audio is queued."""
DIFFERS = "the stored audio was lost after its delivery had begun; ask again with a new requestId"


class LinkState(Enum):
    """The link to OraServer, as this delivery sees it."""

    DOWN = "there is none; `Connect` is returned when the wait after the last failure is over"
    CONNECTING = "`Connect` was returned"
    UP = "chunks may be written"


class FenceState(Enum):
    """The checkpoint with this owner's epoch, after which an earlier owner can write no report."""

    STORED = "it is stored, or not needed"
    DUE = "it must be stored before the first write"
    WRITING = "`Fence` was returned"


class CompleteState(Enum):
    """The message that the utterance is complete, on the present link."""

    NOT_WRITTEN = "chunks are missing, or the synthesis did not complete"
    WRITTEN = "`WriteComplete` was returned"
    ASKED = "OraServer was asked to confirm it"


@dataclass(slots=True)
class UtteranceDelivery:
    """The whole state of one utterance's delivery, and its rules.

    `delivered` is the number of chunks that an earlier owner had confirmed. `now` is when this delivery began.
    """

    request_seq: int
    rules: DeliveryRules
    now: float
    delivered: int = 0
    delivered_bytes: int | None = None
    """Bytes of those chunks, if known."""
    must_fence: bool = False
    asked_at: float | None = None
    """When the request was stored, if known. Used to report `audio_expired` instead of `synth_stalled`."""
    sent_before: bool = False
    """An earlier owner may have written chunks, as its report says."""
    may_be_silent: bool = False
    """Its audio may have no chunk; see `StoredRequest.may_be_silent`."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 2.0))
    """The waits between tries to connect; its times are taken from `rules`."""

    progress: Progress = field(init=False)
    """What the report says."""
    link: LinkState = field(init=False, default=LinkState.DOWN)
    finished: Finished | None = field(init=False, default=None)
    """The final status, as soon as it is decided. No event changes it."""
    spoken: SpokenText = field(init=False, default_factory=SpokenText)
    """The sentences and words of the audio that was read."""
    _assembly: Assembly = field(init=False)
    """Puts the stored messages of all attempts in order."""
    _queue: deque[AudioChunk] = field(init=False, default_factory=deque)
    """Chunks to write, in order."""
    _queued_bytes: int = field(init=False, default=0)
    _moved_at: float = field(init=False, default=0.0)
    """When a chunk was last written, or queued while the queue was empty."""
    _prompt: bool = field(init=False, default=True)
    """Whether the receiver takes the audio as fast as it comes."""
    _sizes: dict[int, int] = field(init=False, default_factory=dict)
    """Bytes of each chunk that this owner has read, by index."""
    _same: bool = field(init=False, default=True)
    """Whether audio that was read again has the same chunks as before. It has not when the stream was lost and synth
    has made the audio anew in other chunks. Then the index of a chunk does not tell where to continue."""
    _sent: Confirmation = field(init=False)
    """The unconfirmed chunks of the present link."""
    _ever_written: int = field(init=False, default=0)
    """Number of chunks written over any link. A chunk before it is a repeat."""
    _heard: bool = field(init=False, default=False)
    """Whether this owner has written a chunk that the listener can hear."""
    _complete: CompleteState = field(init=False, default=CompleteState.NOT_WRITTEN)
    _failures: int = field(init=False, default=0)
    """Links lost or not opened since OraServer last confirmed something."""
    _retry_at: float = field(init=False, default=0.0)
    """When to connect again; infinity: not before there is audio."""
    _unreachable: tuple[Code, str] | None = field(init=False, default=None)
    """Why the utterance fails if it turns out to have audio: OraServer cannot be reached, or refuses."""
    _read_again: bool = field(init=False, default=False)
    """The audio was read again because it had changed."""
    _rewind: bool = field(init=False, default=False)
    """The audio must be read again: chunks were unconfirmed when the link was lost, or it has changed."""
    _resuming: Resuming = field(init=False)
    """What OraServer has, if the link resumes."""
    _failed_written: bool = field(init=False, default=False)
    """`WriteFailed` was returned."""
    _fence: FenceState = field(init=False, default=FenceState.STORED)
    _claimed: bool = field(init=False, default=False)
    """Whether a synth has claimed the request."""
    _wait: AudioWait = field(init=False)
    """The stall timer."""
    _may_write: bool = field(init=False, default=True)
    """As at the last `poll`."""
    _cut_due: bool = field(init=False, default=False)
    """The link must be cut: the lease is over."""
    _settle_until: float | None = field(init=False, default=None)
    """When the link is cut if the audio of the cancelled utterance is still unconfirmed. None before `DropUnsent`."""
    _end_frame: EndFrameState | None = field(init=False, default=None)
    """None if OraServer gets no end frames."""
    _finished_returned: bool = field(init=False, default=False)
    """`poll` has returned `finished`."""

    def __post_init__(self) -> None:
        self._assembly = Assembly(self.request_seq)
        self._resuming = Resuming(self.delivered_bytes or 0)
        self.progress = Progress(chunks=self.delivered, confirmed_bytes=self.delivered_bytes)
        self._sent = Confirmation(self.rules, self.delivered)
        self._ever_written = self.delivered
        self._wait = AudioWait(self.rules.stall_s, self.now)
        if self.must_fence:
            self._fence = FenceState.DUE
        if self.rules.end_frames:
            self._end_frame = EndFrameState(self.sent_before or self.delivered > 0)
        self.backoff = Backoff(self.rules.first_retry_s, self.rules.max_retry_s, rng=self.backoff.rng)

    # ---- events

    def claimed(self, now: float) -> None:
        """A synth has claimed this request: chunks may be written, and the stall timer starts."""
        if not self._claimed:
            self._claimed = True
            self._wait.restart(now)

    def fenced(self) -> None:
        """The checkpoint with this owner's epoch is stored."""
        self._fence = FenceState.STORED

    def lease_over(self) -> None:
        """The lease of this bridge is over. Cut the link if unconfirmed audio is on its way to the receiver.

        Another bridge may deliver now; the receiver must not get the audio from both, nor what is cancelled meanwhile.
        """
        self._cut_due = self.on_its_way

    def restart_stall_timer(self, now: float) -> None:
        """Restart the wait for audio. While NATS does not answer, missing audio does not mean a stalled synth."""
        self._wait.restart(now)

    def audio_room(self, full: bool | None, now: float) -> None:
        """The answer to `AskAudioRoom`: whether the stream of audio is full. None: NATS did not answer."""
        self._wait.answered(full, now)

    def audio(self, sequence: int, message: AudioMessage, now: float) -> None:
        """Add a stored audio message. Call in stream order."""
        self._wait.restart(now)
        if isinstance(message, AudioChunk) and message.attempt == self._assembly.attempt:
            if message.index < self._assembly.next_index:  # one after a gap may never count
                self._compare(message)
        offset = self._assembly.bytes
        received = self._assembly.receive(sequence, message)
        if self._assembly.contradicted:
            self._changed(0)
        if self._end_frame is not None:
            self._end_frame.read(received)
        for chunk in received:
            self._compare(chunk)
            self._sizes[chunk.index] = len(chunk.audio)
            self.spoken.add(chunk)
            chunk.offset, offset = offset, offset + len(chunk.audio)
            if chunk.index < self.progress.chunks:
                self._same = self.progress.confirmed_before(chunk, self._assembly) and self._same
            self._sort(chunk, offset, now)
        end = self._assembly.end
        if end is not None and end.status == "complete":
            if end.total_chunks < max(self._assembly.next_index, self._receiver_may_have):
                self._changed(end.total_chunks)
            self.progress.total_chunks = end.total_chunks
            self.progress.rtf = end.rtf
            self.progress.characters = None if end.text is None else len(end.text)
        if not self._same:
            self._finish("failed", "internal", DIFFERS)

    def link_up(self, *, quick: bool = False, resumes: bool = False) -> None:
        """The link is open and ready for this utterance. `quick`: its receiver has confirmed the last one quickly.

        `resumes`: OraServer says over it where the audio goes on.
        """
        self.link = LinkState.UP
        if self._unreachable is not None:
            self._unreachable, self._failures = None, 0
        self._resuming.link_up(resumes=resumes)
        self._sent.start_over(self._sent.written, quick=quick)

    def opened(self, upto: int, now: float) -> None:
        """OraServer has the first `upto` bytes of the file: the answer to `OpenUtterance`."""
        if not self.opening:
            return
        if self._resuming.answered(upto):  # it has stored more since the last link
            self._failures = 0
            self.backoff.reset()
        if self._resuming.passed > upto:  # it has forgotten some: they are read again
            self._rewind = True
            return
        queued, self._queue = self._queue, deque()
        self._queued_bytes = 0
        for chunk in queued:
            assert chunk.offset is not None, "it was set when the chunk was read"
            self._sort(chunk, chunk.offset + len(chunk.audio), now)

    def link_lost(self, reason: str, now: float, *, refused: bool = False) -> None:
        """The link broke or could not be opened. `refused`: OraServer answered 4xx, so a retry is of no use.

        Does nothing if the link is down already.
        """
        self._cut_due = False
        if self.link is LinkState.DOWN:
            return
        if self.finished:
            self.link = LinkState.DOWN
            self._end_frame_lost()
            return
        if self.link is LinkState.UP:
            self.progress.reconnects += 1
            self.progress.version += 1
        self.link, self._prompt = LinkState.DOWN, False
        self._resuming.link_lost()
        self._failures += 1
        if refused:
            problem = f"OraServer refused: {reason}; check ORASERVER_* and its log"
            self._unreachable = "oraserver_refused", problem
        elif self._failures > self.rules.max_retries:
            problem = f"OraServer: {reason}, after {self._failures} tries; is it running?"
            self._unreachable = "oraserver_unreachable", problem
        if self._unreachable is not None and not self._silent_so_far:
            self._finish("failed", *self._unreachable)
            return
        self._retry_at = math.inf if refused else now + self.backoff.next_s()
        if self._sent.written > self.progress.chunks or self._complete is not CompleteState.NOT_WRITTEN:
            self._rewind = True

    def confirmed(self, chunks: int, complete: bool, now: float) -> None:
        """OraServer has confirmed the first `chunks` chunks and, if `complete`, the end of the utterance.

        After a cancel the chunks are still counted, until `Finished` is returned.
        """
        if self.link is not LinkState.UP or self._finished_returned:
            return
        if chunks > self.progress.chunks or complete:
            self._failures = 0
            self.backoff.reset()
            self.progress.version += 1
            self._prompt = self._prompt or not self._queue
        self.progress.confirmed(chunks, self._sent.answered(chunks, now), self._assembly)
        if complete:
            self._finish("delivered")

    def cancel(self) -> None:
        """Cancel: write no more of this utterance.

        `Finished` is returned when the receiver has confirmed what was written, or after `CutLink`.
        """
        self._finish("cancelled")

    # ---- what to do next

    @property
    def wants_audio(self) -> bool:
        """Whether to call `audio` now. If not, leave the audio in the stream."""
        return self.finished is None and not self._rewind and self._queued_bytes < QUEUE_BYTES

    def feed_bytes(self, now: float) -> int:
        """How much audio the feed may buffer now: little after a link was lost or while the receiver is slow.

        That ends when the receiver confirms audio and no more is queued.
        """
        if self._queue and now >= self._moved_at + SLOW_S:
            self._prompt = False
        return FEED_BYTES if self._prompt else SLOW_FEED_BYTES

    @property
    def quick(self) -> bool:
        """Whether the receiver has given its last answer over the present link quickly."""
        return self._sent.quick

    @property
    def expects_audio(self) -> bool:
        """Whether more stored audio may come."""
        return self.finished is None and self._assembly.finished is None

    def poll(self, now: float, *, may_write: bool, room: bool) -> Effect | None:
        """Return the next effect to carry out at once, or None.

        `may_write`: the owner may write, and the machine knows every cancel stored so far. `room`: the link takes more.
        """
        self._may_write = may_write
        if self._cut_due:
            self._cut_due = False
            return self._cut(now)
        if self.finished is None:
            if self._queued_bytes >= QUEUE_BYTES:
                self._wait.restart(now)  # synth is not stalled: this queue is full
            if self._unreachable is not None and not self._silent_so_far:
                self._finish("failed", *self._unreachable)
            elif self._assembly.end is not None or not self._queue:  # with audio queued and no end, no check can fail
                self._check_end(now)
        if self.finished is not None:
            return self._next_at_end(self.finished, now)
        if self._rewind:
            self._start_over(now)
            return Rewind()
        if self._stalls and self._wait.ask(now):
            return AskAudioRoom()
        if self.link is LinkState.DOWN and now >= self._retry_at and may_write:
            self.link = LinkState.CONNECTING
            return Connect()
        if self.link is not LinkState.UP or not may_write or not self._claimed:
            return None
        return self._next_over_link(now, room=room)

    def next_time(self) -> float | None:
        """When to call `poll` again if no event comes before (monotonic seconds), or None."""
        if self.finished is not None:
            return self._settle_until if self.settling else None
        connects = self.link is LinkState.DOWN and self._may_write and self._retry_at < math.inf
        times = [self._retry_at] if connects else []
        if self._stalls and (at := self._wait.next_time) is not None:
            times.append(at)
        return min(times, default=None)

    @property
    def settling(self) -> bool:
        """Whether it was cancelled and audio that the receiver may still read is unconfirmed."""
        cancelled = self.finished is not None and self.finished.status == "cancelled"
        unconfirmed = self.rules.confirm_every is not None and bool(self._sent)
        return cancelled and self.link is LinkState.UP and unconfirmed and not self._resuming.resumes

    @property
    def on_its_way(self) -> bool:
        """Whether the receiver may still read audio over the present link that it has not confirmed."""
        in_work = (self.finished is None or self.settling) and not self._resuming.resumes
        streamed = self.rules.confirm_every is not None and bool(self._sent)  # over HTTP chunks are only collected
        return self.link is LinkState.UP and (streamed or self._complete is CompleteState.ASKED) and in_work

    @property
    def has_written(self) -> bool:
        """Whether this owner has written a chunk that the listener can hear."""
        return self._heard

    @property
    def end_written(self) -> bool:
        """Whether the end frame was written over the present link, or over a new one."""
        return self._end_frame is not None and self._end_frame.written

    @property
    def over(self) -> bool:
        """Whether `poll` has returned `Finished` or `FallBack`."""
        return self._finished_returned

    @property
    def audio_s(self) -> float | None:
        """Seconds of the whole audio; None while it is not known, and if it is not complete."""
        end = self._assembly.finished
        return None if end is None or end.status != "complete" else end.audio_seconds

    def played(self) -> tuple[AudioStart, float, str | None] | None:
        """The `start`, the duration in seconds and the streamed text of a delivered utterance; None of any other, and
        of one without audio.
        """
        start, end = self._assembly.start, self._assembly.finished
        if self.finished is None or self.finished.status != "delivered" or start is None or end is None:
            return None
        if not end.total_chunks:
            return None
        return start, end.audio_seconds, end.text

    # ---- inside

    @property
    def opening(self) -> bool:
        """Whether the answer to `OpenUtterance` is awaited."""
        return self.link is LinkState.UP and self._resuming.state is OpenState.ASKED

    @property
    def _silent_so_far(self) -> bool:
        """Whether no chunk of it is known, and perhaps there is none."""
        known = self._assembly.next_index or self._ever_written or self.sent_before
        return self.may_be_silent and not known

    @property
    def _stalls(self) -> bool:
        # While a rewind is pending no audio is taken, so its absence shows nothing.
        return self._claimed and self._assembly.finished is None and not self._queue and not self._rewind

    @property
    def _answers_outstanding(self) -> bool:
        """Whether audio is unwritten or unconfirmed. After a failed synthesis it is still delivered."""
        return self.rules.confirm_every is not None and bool(self._queue or self._sent)

    def _next_at_end(self, finished: Finished, now: float) -> Effect | None:
        """The next effect after the final status is decided. `Finished` is the last one."""
        if self._finished_returned:
            return None
        if self._fails_over(finished):
            self._failed_written = True
            assert finished.error is not None, "a failed utterance has an error"
            return WriteFailed(finished.error.code)
        writes_end = self._writes_end(finished)
        if self._settle_until is None and self.link is LinkState.UP and (self.settling or writes_end):
            self._settle_until = now + self.rules.settle_s
            return DropUnsent()
        if writes_end and self._end_frame is not None:
            self._end_frame.written = True
            return WriteEnd(self._assembly.start or self._end_frame.start, self._known_text)
        if self.settling and self._settle_until is not None:
            if self._sent.asked < self._sent.written:
                return self._ask(now)
            return None if now < self._settle_until else self._cut(now)
        self._finished_returned = True
        undeliverable = finished.error is not None and finished.error.code in UNDELIVERABLE
        # What the receiver has of it would be heard twice.
        return FallBack() if self.rules.falls_back and undeliverable and not self._ever_written else finished

    def _fails_over(self, finished: Finished) -> bool:
        """Whether to write over a resuming link that the utterance has failed."""
        opened = self.link is LinkState.UP and self._resuming.state is OpenState.OPEN
        return opened and finished.status == "failed" and not self._failed_written

    def _writes_end(self, finished: Finished) -> bool:
        """Whether to write the end frame now: it is due, and was not written over a link that has delivered it."""
        end = self._end_frame
        if end is None or end.written or self._resuming.resumes or not (self._ever_written or end.sent_before):
            return False
        return ended_as(finished.status, finished.error) is not None

    @property
    def _known_text(self) -> str | None:
        end = self._assembly.end
        if end is not None and end.text is not None:
            return end.text
        return None if self._end_frame is None else self._end_frame.text

    def _end_frame_lost(self) -> None:
        """The link is down. What was written over it may not have arrived: write it again, over a new link."""
        if self._end_frame is not None:
            self._end_frame.written = False

    def _cut(self, now: float) -> CutLink:
        """Cut the link. The receiver is not the cause, so this is no failure of it."""
        self.link, self._prompt = LinkState.DOWN, False
        self._end_frame_lost()
        if self.finished is None:
            self._rewind, self._retry_at = True, now
            self.progress.reconnects += 1
            self.progress.version += 1
        return CutLink()

    def _next_over_link(self, now: float, *, room: bool) -> Effect | None:
        if self._fence is not FenceState.STORED:
            if self._fence is FenceState.DUE:
                self._fence = FenceState.WRITING
                return Fence()
            return None
        if self._resuming.opens:
            return self._next_open()
        return self._next_write(now) if room else self._next_confirm(now)

    def _next_open(self) -> OpenUtterance | None:
        start = self._assembly.start
        if self._resuming.state is OpenState.ASKED or start is None or self._silent_so_far:
            return None
        before = self.delivered or self.sent_before or self.must_fence or self._resuming.asked_before
        self._resuming.asked()
        return OpenUtterance(start, self.progress.confirmed_bytes or 0, fresh=not before)

    def _sort(self, chunk: AudioChunk, end: int, now: float) -> None:
        """Queue a chunk that was read, unless OraServer has it. It ends at the byte `end` of the file."""
        has = self._resuming.has(end)
        if chunk.index < self.progress.chunks if has is None else has:
            self._resuming.passes(chunk, end)
            if chunk.index >= self.progress.chunks:  # its confirmation was lost
                self._ever_written = max(self._ever_written, chunk.index + 1)
                written = WrittenChunk(chunk.index, len(chunk.audio), chunk.pts_ms / 1000)
                self.progress.confirmed(chunk.index + 1, [written], self._assembly)
                self._sent.start_over(chunk.index + 1, quick=self._sent.quick)
            return
        if chunk.index < self._sent.written and not self._sent:  # OraServer has forgotten it
            self._sent.start_over(chunk.index, quick=self._sent.quick)
        if not self._queue:
            self._moved_at = now
        self._queue.append(chunk)
        self._queued_bytes += len(chunk.audio)

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
            began = self._resuming.writes(chunk)
            self._moved_at = now
            sent.wrote(chunk)
            if self.rules.confirm_every is not None and not self._resuming.resumes:
                self.progress.wrote(start, chunk)
            if sent.written > self._ever_written > self.delivered:
                self._ever_written = sent.written  # not the first chunk here, nor a repeated one
            else:
                self._note_write(chunk)
            return WriteChunk(start, chunk, began)
        end = self._assembly.finished
        if (
            start is not None
            and end is not None
            and end.status == "complete"
            and end.total_chunks
            and self._complete is CompleteState.NOT_WRITTEN
        ):
            self._complete = CompleteState.WRITTEN
            if not self._resuming.resumes:
                self.progress.sent(end.audio_seconds)
            return WriteComplete(start, end)
        return None

    def _next_confirm(self, now: float) -> Confirm | None:
        if self._complete is CompleteState.WRITTEN or self._sent.due:
            return self._ask(now)
        end = self._assembly.end
        if end is not None and end.status == "failed" and self._answers_outstanding:
            return self._ask(now) if self._sent.asked < self._sent.written else None
        return None

    def _ask(self, now: float) -> Confirm:
        complete = self._complete is CompleteState.WRITTEN
        if complete:
            self._complete = CompleteState.ASKED
        return Confirm(self._sent.ask(now), complete)

    def _note_write(self, chunk: AudioChunk) -> None:
        if not self._heard and self.rules.confirm_every is not None:
            self._heard = True  # checkpoint the first chunk: the listener hears it
            self.progress.version += 1
        if chunk.index < self._ever_written:
            self.progress.retransmitted += 1
            self.progress.retransmitted_bytes += len(chunk.audio)
        self._ever_written = max(self._ever_written, self._sent.written)

    def _compare(self, chunk: AudioChunk) -> None:
        """Compare a chunk with the one that was read before. Another size: the audio was lost and made anew."""
        if self._sizes.get(chunk.index, len(chunk.audio)) != len(chunk.audio):
            self._changed(0)

    def _changed(self, chunks: int) -> None:
        """The stored audio has changed; at most its first `chunks` chunks are as they were when they were read.

        It is read again, once. If the receiver may have other chunks of the old audio, the delivery cannot go on.
        """
        if self._receiver_may_have > chunks or (self._read_again and not self._rewind):
            self._same = False
        else:
            self._rewind = self._read_again = True

    @property
    def _receiver_may_have(self) -> int:
        """Number of chunks that the receiver may have. A file is sent only when it is complete, and then only whole."""
        return 0 if self.rules.confirm_every is None else self._ever_written

    def _start_over(self, now: float) -> None:
        self._rewind = False
        self._wait.restart(now)  # the audio is read again, which takes time: synth is not stalled
        if self._end_frame is not None:
            self._end_frame.start = self._assembly.start
        self._assembly, self.spoken = Assembly(self.request_seq), SpokenText()
        self._queue.clear()
        self._queued_bytes = 0
        self._resuming.start_over()
        self.progress.start_over()
        self._sent.start_over(self.progress.chunks)
        if not self._receiver_may_have:
            self._sizes.clear()
        self._complete = CompleteState.NOT_WRITTEN

    def _check_end(self, now: float) -> None:
        end = self._assembly.finished
        if end is not None and end.status == "cancelled":
            self._finish("cancelled")
        elif end is not None and end.status == "failed" and not self._queue and not self._answers_outstanding:
            error = end.error or EndError("engine_error", "synthesis failed; see synth's log")
            self._finish("failed", error.code, error.message)
        elif end is not None and end.status == "complete" and not end.total_chunks and not self._rewind:
            self._check_silence()
        elif self._stalls and self._wait.over(now):
            since = self.now if self.asked_at is None else min(self.now, self.asked_at)
            if self._assembly.start is None and now - since > self.rules.audio_retention_s:
                self._finish("failed", "audio_expired", "the audio was not fetched within TTS_AUDIO_RETENTION_SECONDS")
            else:
                self._finish(
                    "failed", "synth_stalled", f"no audio for {self.rules.stall_s:g} s; are synth and its engine alive?"
                )

    def _check_silence(self) -> None:
        """The audio is complete and has no chunk. As before a write, every cancel so far must be known."""
        if self.sent_before and self.rules.confirm_every is not None:
            self._finish("failed", "internal", DIFFERS)  # OraServer may play a chunk of the audio that was lost
        elif self._claimed and self._may_write:
            self._finish("delivered")

    def _finish(self, status: Status, code: Code | None = None, message: str = "") -> None:
        if self.finished is None:
            self.finished = Finished(status, ReportError.of(code, message) if code else None)
