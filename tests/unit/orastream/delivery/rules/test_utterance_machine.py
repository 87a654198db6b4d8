"""The delivery of one utterance under random failures: Hypothesis drives a model of all processes around the machine.

The model stores audio as synth does, passes it to the machine and carries out effects as `UtteranceRunner` does, and
processes frames as OraServer does. Links break, owners change, synths die and the stream of audio is full. After the
last rule all faults end, except the one that the run has drawn, and the delivery must end.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orastream.base.backoff import Backoff
from orastream.contract.audio import PcmSpec, wav_header
from orastream.contract.audio_messages import (
    AudioChunk,
    AudioEnd,
    AudioMessage,
    AudioStart,
    AudioWaiting,
    EndError,
    EndStatus,
)
from orastream.contract.messages import Report
from orastream.delivery.rules import utterance as module
from orastream.delivery.rules.checkpoint import CheckpointClock, report_of
from orastream.delivery.rules.end_frames import ended_as, may_have_chunks
from orastream.delivery.rules.progress import Progress
from orastream.delivery.rules.timing import Timing
from orastream.delivery.rules.utterance import LinkState, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    AskAudioRoom,
    Confirm,
    Connect,
    CutLink,
    DeliveryRules,
    DropUnsent,
    Effect,
    Fence,
    Finished,
    Rewind,
    WriteChunk,
    WriteComplete,
    WriteEnd,
)

pytestmark = pytest.mark.unit

SETTINGS = settings(
    max_examples=120 * int(os.environ.get("FUZZ", "1")),
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)
REQUEST = 3
SPEC = PcmSpec(8000)
RETENTION_S = 45.0
EFFECTS_MAX = 500
"""More effects than any utterance of the model needs between two events."""
NEVER_DELIVERED = b"never delivered"
"""Audio of an attempt that ended before. The assembly drops it."""

Fault = Literal["none", "cancel", "refusing OraServer", "dead synth", "dead OraServer"]
"""A fault that may happen in a run. The last three do not end after the last rule."""
Slow = Literal["loop", "feed", "link", "OraServer", "answers", "reports", "room"]
"""A part that works only when a rule says so. The other parts work at each event."""
Frame = WriteChunk | WriteComplete | Confirm | WriteEnd


class Connection:
    """A link to OraServer: its frames in order, and what the owner knows about it."""

    def __init__(self, confirmed: int, limits_s: tuple[float, float]) -> None:
        self.frames: deque[tuple[Frame, float]] = deque()
        """Written frames that OraServer has not processed, each with the time of the write."""
        self.answers: deque[tuple[Confirm, float]] = deque()
        """Processed `Confirm` frames that the owner has no answer for yet, each with the time of the ask."""
        self.written = self.asked = confirmed
        self.completed = self.asked_complete = False
        self.silent = False
        """No chunk may be processed any more: the link was cut, or the cancelled utterance is final."""
        self.unconfirmed: list[AudioChunk] = []
        self.unanswered = 0
        self.limits_s = limits_s
        """Seconds of speech: until the next ask, and at most unconfirmed."""


class Delivery(RuleBasedStateMachine):
    """One request after another, each from its claim to its final report."""

    rules_of_bridge: ClassVar[DeliveryRules]
    only: ClassVar[tuple[EndStatus, Fault] | None] = None
    """If set, the end and the fault of every run, in place of the drawn ones."""
    outcomes: ClassVar[Counter[str]] = Counter()
    """How often each final status, error code and rare step was reached."""

    def __init__(self) -> None:
        super().__init__()
        self.exception_outside = sys.exc_info()[1]
        self.patch = pytest.MonkeyPatch()
        self.now = 100.0
        self.began = False

    @initialize(
        count=st.sampled_from([0, 1, 2, 4, 5, 9, 16, 25]),
        sizes=st.lists(st.sampled_from([2, 10, 20, 30, 130]), min_size=1, max_size=5),
        lasts_ms=st.lists(st.sampled_from([1, 1, 1, 700, 2500]), min_size=1, max_size=5),
        fmt=st.sampled_from(["wav", "opus"]),
        end_status=st.sampled_from(["complete", "complete", "complete", "failed", "cancelled"]),
        fault=st.sampled_from(["none", "none", "cancel", "refusing OraServer", "dead synth", "dead OraServer"]),
        queue_bytes=st.sampled_from([60, 256 << 10]),
        slow=st.sets(st.sampled_from(["loop", "feed", "link", "OraServer", "OraServer", "answers", "reports", "room"])),
        in_kernel=st.sampled_from([1, 1000, 1000]),
        full=st.sampled_from([True, False, False]),
        claimed=st.sampled_from([True, True, False]),
        stored=st.integers(0, 20),
        may_be_silent=st.booleans(),
    )
    def begin(
        self,
        count: int,
        sizes: list[int],
        lasts_ms: list[int],
        fmt: str,
        end_status: EndStatus,
        fault: Fault,
        queue_bytes: int,
        slow: set[Slow],
        in_kernel: int,
        full: bool,
        claimed: bool,
        stored: int,
        may_be_silent: bool,
    ) -> None:
        """`sizes` and `lasts_ms` of the chunks repeat. `stored`: messages that synth has stored before the delivery.

        `full`: after them the stream of audio is full.
        """
        self.patch.setattr(module, "QUEUE_BYTES", queue_bytes)
        self.start = AudioStart(REQUEST, fmt, SPEC.sample_rate_hz, 1, "espeak", "ko-KR")
        pts_ms = 0
        self.chunks: list[AudioChunk] = []
        for index in range(count):
            audio = bytes([index]) * sizes[index % len(sizes)] if index else wav_header(SPEC)
            self.chunks.append(AudioChunk(0, index, pts_ms, 0, audio))
            pts_ms += lasts_ms[index % len(lasts_ms)]
        self.speech_s = pts_ms / 1000
        self.end_status, self.fault = self.only or (end_status, fault)
        self.may_be_silent = may_be_silent
        self.slow = slow
        self.delivery_rules = replace(self.rules_of_bridge, audio_retention_s=RETENTION_S)
        self.in_kernel, self.stream_full = in_kernel, full
        self.began = True
        self._new_request(claimed, stored)

    @precondition(lambda self: self.final_report is not None)
    @rule(claimed=st.booleans(), stored=st.integers(0, 20))
    def the_same_happens_to_another_request(self, claimed: bool, stored: int) -> None:
        self._new_request(claimed, stored)

    def _new_request(self, claimed: bool, stored: int) -> None:
        # synth
        self.stream: list[tuple[int, AudioMessage]] = []
        self.attempt = 0
        self.attempts = 0
        self.next_index = 0
        self.end_stored = False
        self.synth_dead = False
        # OraServer
        self.received: list[bytes] = []
        self.completes = 0
        self.old_connections: list[Connection] = []
        """Connections not in use, whose buffered frames may still arrive. They broke, or the utterance has ended."""
        # the stored report
        self.stored: Report | None = None
        self.epoch = 0
        self.cancelled = False
        self.final_report: Report | None = None
        if claimed:
            self._store(self._claim())
        for _ in range(stored):
            self._store_next()
        self._new_owner()
        self._event()

    def _new_owner(self) -> None:
        """A delivery begins, as in `SessionRunner._begin`. It resumes from the stored report."""
        self.epoch += 1
        self.owner_began_at = self.now
        self.delivered_before = self.stored.delivered_chunks if self.stored is not None else 0
        self.machine = UtteranceDelivery(
            REQUEST,
            self.delivery_rules,
            self.now,
            self.delivered_before,
            self.stored.bytes if self.stored is not None else None,
            must_fence=self.epoch > 1,
            sent_before=may_have_chunks(self.stored),
            may_be_silent=self.may_be_silent,
            backoff=Backoff(1, 1, rng=random.Random(1)),
        )
        self.base = self.stored
        self.timing = Timing(0.0, piecewise=self.delivery_rules.confirm_every is not None)
        self.clock = CheckpointClock()
        self.connection: Connection | None = None
        self.connecting = False
        self.capacity = 1000
        self.gate, self.lease_cut = True, False
        self.fed = self.arrived = 0
        """Messages that the machine has, and that the feed has received since it was opened."""
        self.fence_returned = self.fence_due = False
        self.fence_stored = self.epoch == 1
        self.pending: tuple[Literal["fence", "checkpoint", "end"], Report] | None = None
        self.finished: Finished | None = None
        self.finished_progress: Progress | None = None
        self.end_unwritten = False
        self.refused = self.unreachable = False
        self.failures = self.reconnects = self.retransmitted = self.version = 0
        self.confirmed = self.ever_written = self.delivered_before
        self.heard = False
        self.restarted_at = self.now
        """When the stall timer was last restarted, for a reason that the model knows."""
        self.look: bool | None = None
        """An `AskAudioRoom` without an answer: whether the stream was full when the machine asked. Else None."""
        self.asked_room_at = float("-inf")
        """When the machine last asked for the room, and last wrote a chunk."""
        self.settling_since: float | None = None
        """When `DropUnsent` was returned."""
        self.sent_before = self.delivered_before > 0 or may_have_chunks(self.stored)
        self.ended_over: list[Connection | None] = []
        """The links over which an end frame was written. None: over a new one."""
        if self.cancelled:
            self.machine.cancel()

    # ---- the runner: the same order as in UtteranceRunner

    def _event(self) -> None:
        """What follows an event at once: all parts work that are not slow."""
        if "feed" not in self.slow:
            self.arrived = len(self.stream)
        if "link" not in self.slow and self.connecting:
            self._open()
        if "OraServer" not in self.slow:
            self._process_all()
        if "answers" not in self.slow:
            self._answer_all()
        if "reports" not in self.slow and self.pending is not None:
            self._report_stored()
        if "room" not in self.slow and self.look is not None:
            self._answer_room(known=True)
        if "loop" not in self.slow:
            self._step()

    def _step(self) -> None:
        """One round, as `SessionRunner._step` and `UtteranceRunner.step`."""
        if not self.gate:
            self.restarted_at = self.now
            self.machine.restart_stall_timer(self.now)
        if self.stored is not None:
            if self.base is None:
                self.base = self.stored
                self.restarted_at = self.now
            self.machine.claimed(self.now)
        self._take_audio()
        for _ in range(EFFECTS_MAX):
            room = self.connection is not None and len(self.connection.frames) < self.capacity
            effect = self.machine.poll(self.now, may_write=self.gate, room=room)
            if effect is not None:
                self._carry_out(effect, room)
            elif not self._take_audio():
                break
        else:
            raise AssertionError("poll never comes to rest")
        next_time = self.machine.next_time()
        assert next_time is None or next_time > self.now or self.finished, "the loop would never sleep"
        link, every = self.connection, self.delivery_rules.confirm_every
        if link is not None and self.gate and self.machine.finished is None:
            assert every is None or link.written - link.asked < every, "an ask is due"
            assert not link.completed or link.asked_complete, "complete is written, but no answer is asked for"
        if self.machine.finished is not None and self.finished is None:
            assert self.settling_since is not None, "only a cancelled utterance waits for its end"
            assert self.now < self.settling_since + self.delivery_rules.settle_s, "it waits too long"
            assert link is not None and link.asked == link.written, "the receiver was not asked"
        self._write_next()

    def _take_audio(self) -> bool:
        took = False
        while self.machine.wants_audio and self.fed < self.arrived:
            took = True
            self.restarted_at = self.now
            self.machine.audio(*self.stream[self.fed], self.now)
            self.fed += 1
        return took

    def _carry_out(self, effect: Effect, room: bool) -> None:
        assert self.finished is None, f"{effect} after {self.finished}"
        if isinstance(effect, WriteChunk | WriteComplete | Confirm | Fence):
            assert self.gate or self.settling_since is not None, "a write with a closed gate"
            assert self.stored is not None, "a write before the claim"
            assert self.fence_stored or isinstance(effect, Fence), "a write before the fence is stored"
        if self.cancelled or self.machine.finished is not None:
            self._carry_out_at_end(effect)
        else:
            self._carry_out_before_end(effect, room)

    def _carry_out_at_end(self, effect: Effect) -> None:
        """Carry out what the machine returns after the final status is decided."""
        link, rules = self.connection, self.delivery_rules
        assert isinstance(effect, DropUnsent | Confirm | CutLink | Finished | WriteEnd), f"{effect} after the end"
        ends = self._gets_end_frame()
        if not isinstance(effect, Finished | WriteEnd) and not (ends and isinstance(effect, DropUnsent)):
            assert self.machine.finished == Finished("cancelled"), "only a cancelled utterance waits for its end"
            assert rules.confirm_every is not None, "over HTTP no chunk was sent yet"
            assert link is not None and link.unconfirmed, "the receiver has confirmed everything"
        match effect:
            case DropUnsent():
                assert self.settling_since is None
                self.settling_since = self.now
                if self._abandon():
                    self.machine.link_lost("cut", self.now)
                    self.outcomes["unsent bytes"] += 1
            case Confirm():
                assert self.settling_since is not None, "`DropUnsent` comes first"
                assert not ends or link in self.ended_over, "the end frame comes before the ping"
                assert link is not None and link.asked < link.written, "the receiver was asked before"
                self._ask(link, effect)
            case CutLink() if self.lease_cut:
                self._cut_at_lease_end()
            case CutLink():
                assert self.settling_since is not None and self.now >= self.settling_since + rules.settle_s
                assert link is not None and link.asked == link.written, "the receiver was not asked"
                self._cut()
                self.outcomes["cut"] += 1
            case WriteEnd():
                self._write_end(effect)
            case Finished():
                assert not ends or link in self.ended_over, "no end frame"
                self._finish(effect)

    def _gets_end_frame(self) -> bool:
        """Whether OraServer gets an end frame: chunks may have been written, and no connection problem is the cause."""
        finished, written = self.machine.finished, self.ever_written > 0 or self.sent_before
        wanted = finished is not None and ended_as(finished.status, finished.error) is not None
        return self.delivery_rules.end_frames and wanted and written

    def _write_end(self, effect: WriteEnd) -> None:
        link = self.connection
        assert self._gets_end_frame() and effect.start in (None, self.start)
        assert link not in self.ended_over, "two end frames on one link"
        if link is not None:
            assert self.settling_since is not None, "unsent audio is before it"
            assert len(link.frames) <= self.in_kernel
            link.frames.append((effect, self.now))
        self.ended_over.append(link)
        self.outcomes["end frame over a new link" if link is None else "end frame"] += 1

    def _carry_out_before_end(self, effect: Effect, room: bool) -> None:
        match effect:
            case Connect():
                assert self.connection is None and not self.connecting
                self.connecting = True
            case WriteChunk(start, chunk):
                assert room and start == self.start
                self._write_chunk(chunk)
            case WriteComplete(_, end):
                assert room and self.connection is not None and not self.connection.completed
                assert self.chunks, "an utterance without audio reaches OraServer"
                assert end.total_chunks == len(self.chunks) == self.connection.written and self.end_status == "complete"
                self.connection.completed = True
                self.connection.frames.append((effect, self.now))
                self.timing.completed(self.now)
            case Confirm():
                assert self.connection is not None
                self._ask(self.connection, effect)
            case Rewind():
                self.fed = self.arrived = 0
                self.restarted_at = self.now
            case Fence():
                assert not self.fence_stored and not self.fence_returned
                self.fence_returned = self.fence_due = True
            case AskAudioRoom():
                assert self.look is None, "one question at a time"
                assert not (self.end_stored and self.fed == len(self.stream)), "all audio is here"
                self.look, self.asked_room_at = self.stream_full, self.now
            case CutLink():
                self.reconnects += 1
                self.version += 1
                self._cut_at_lease_end()
            case _:
                raise AssertionError(f"{effect} before the end")

    def _ask(self, link: Connection, effect: Confirm) -> None:
        assert (effect.chunks, effect.complete) == (link.written, link.completed)
        assert effect.complete or self.delivery_rules.confirm_every is not None, (
            "HTTP confirms only the whole utterance"
        )
        link.asked = effect.chunks
        link.asked_complete = effect.complete
        link.unanswered += 1
        link.frames.append((effect, self.now))

    def _finish(self, effect: Finished) -> None:
        self.finished, self.end_unwritten = effect, True
        self._check_finished(effect)
        self.finished_progress = replace(self.machine.progress)
        link = self.connection
        if effect.status == "delivered" or link is None:
            return
        if effect.status == "cancelled":
            link.silent = True
            self.outcomes["settled"] += self.settling_since is not None
        if link in self.ended_over or not self._abandon():  # it stays open for the next utterance
            self.old_connections.append(link)
            self.connection = None

    def _abandon(self) -> bool:
        """What `Link.abandon` does: if bytes are unsent, the link is reset. Return whether it was."""
        link = self.connection
        assert link is not None
        unsent = len(link.frames) > self.in_kernel or self.delivery_rules.confirm_every is None
        if unsent:
            self._cut()
        return unsent

    def _cut(self) -> None:
        """What `Link.cut` does: the link is reset, and OraServer gets none of the frames that it has not processed."""
        link = self.connection
        assert link is not None
        link.silent = True
        link.frames.clear()
        self.old_connections.append(link)
        self.connection = None

    def _cut_at_lease_end(self) -> None:
        assert self.lease_cut, "a link is cut without a reason"
        self.lease_cut = False
        self._cut()
        self.outcomes["lease over"] += 1

    def _write_chunk(self, chunk: AudioChunk) -> None:
        link, expected = self.connection, self.chunks[chunk.index]
        assert link is not None and not link.completed
        assert chunk.index == link.written, "a gap, or a repeat on the same link"
        assert (chunk.audio, chunk.pts_ms) == (expected.audio, expected.pts_ms)
        every, max_bytes = self.delivery_rules.confirm_every, self.delivery_rules.max_unconfirmed_bytes
        if every is not None:
            assert link.written - link.asked < every, "no ask after `confirm_every` chunks"
        if max_bytes is not None and link.unconfirmed:
            assert sum(len(x.audio) for x in link.unconfirmed) + len(chunk.audio) <= max_bytes
            since_s = (chunk.pts_ms - link.unconfirmed[0].pts_ms) / 1000
            every_s, max_s = link.limits_s
            assert since_s < max_s, "too many seconds of speech are unconfirmed"
            assert since_s < every_s or link.unanswered, "no ask after `confirm_every_s` seconds of speech"
        link.written += 1
        link.unconfirmed.append(chunk)
        link.frames.append((WriteChunk(self.start, chunk), self.now))
        self.retransmitted += chunk.index < self.ever_written
        self.ever_written = max(self.ever_written, link.written)
        if not self.heard and every is not None:
            self.heard = True
            self.version += 1
        self.timing.wrote(chunk, self.base, self.now)

    def _process_all(self) -> None:
        while self.connection is not None and self.connection.frames:
            self._process(self.connection)

    def _answer_all(self) -> None:
        while self.connection is not None and self.connection.answers:
            self._answer()

    def _lose_link(self, *, refused: bool = False) -> None:
        """The link breaks or does not open."""
        if self.machine.finished is None:
            self.failures += 1
            self.reconnects += self.connection is not None
            self.version += self.connection is not None
            self.refused = refused
        self.connection, self.connecting = None, False
        self.machine.link_lost("test", self.now, refused=refused)
        if self.machine.finished is None:
            self.unreachable = self.failures > self.delivery_rules.max_retries or refused
            silent_so_far = self.may_be_silent and not self.ever_written and not self.sent_before
            assert silent_so_far or not self.unreachable
            assert self.machine.link is LinkState.DOWN

    def _answer(self) -> None:
        """The oldest answer reaches the owner."""
        assert self.connection is not None
        link = self.connection
        asked, asked_at = link.answers.popleft()
        if asked.chunks > self.confirmed or asked.complete:
            self.failures = 0
            self.version += 1
        self.confirmed = max(self.confirmed, asked.chunks)
        quick = self.now - asked_at <= self.delivery_rules.quick_answer_s
        link.limits_s = self._limits_s(quick)
        link.unanswered -= 1
        link.unconfirmed = [chunk for chunk in link.unconfirmed if chunk.index >= asked.chunks]
        before = self.machine.finished
        self.timing.confirmed(self.now)
        self.machine.confirmed(asked.chunks, asked.complete, self.now)
        if before is None:
            assert (self.machine.finished == Finished("delivered")) is asked.complete
        else:
            assert self.machine.finished == before, "an answer undoes no cancel"

    def _answer_room(self, *, known: bool) -> None:
        """The answer to `AskAudioRoom` reaches the owner. Not `known`: NATS did not answer."""
        full, self.look = self.look if known else None, None
        if full:
            self.restarted_at = self.now
            self.outcomes["full stream"] += 1
        self.machine.audio_room(full, self.now)

    def _limits_s(self, quick: bool) -> tuple[float, float]:
        rules = self.delivery_rules
        if quick:
            return rules.quick_confirm_every_s, rules.quick_max_unconfirmed_s
        return rules.confirm_every_s, rules.max_unconfirmed_s

    # ---- the reports, as in UtteranceRunner

    def _report(self) -> Report | None:
        if self.base is None:
            return None
        return report_of(self.base, self.machine.progress, self.timing.figures(self.base), self.epoch)

    def _write_next(self) -> None:
        if self.pending is not None:
            return
        if self.end_unwritten and self.finished is not None:
            self.end_unwritten = False
            current = self._report() or self._claim()
            self.pending = "end", current.with_(status=self.finished.status, error=self.finished.error)
        elif self.machine.finished is None:
            version = self.machine.progress.version
            due = self.clock.due(version, self.now)
            report = self._report() if due or self.fence_due else None
            if report is not None and self.fence_due:
                self.fence_due = False
                self.pending = "fence", report
            elif report is not None:
                self.clock.taken(version, self.now)
                self.pending = "checkpoint", report

    @staticmethod
    def _claim() -> Report:
        return Report(request_id="r", session_id="s", phone_id="p", request_seq=REQUEST, status="synthesizing")

    def _store(self, report: Report) -> None:
        """The report replaces the stored one. No count becomes lower, and none is higher than the truth."""
        before = self.stored
        if before is not None:
            assert report.epoch >= before.epoch
            for name in ("delivered_chunks", "bytes", "audio_seconds", "reconnects", "retransmitted"):
                assert getattr(report, name) >= getattr(before, name), f"{name} became lower"
        assert report.delivered_chunks <= len(self.received)
        assert report.bytes <= sum(map(len, self.received))
        self.stored = report

    def _report_stored(self) -> None:
        assert self.pending is not None
        (purpose, report), self.pending = self.pending, None
        self._store(report)
        if purpose == "fence":
            self.fence_stored = True
            self.machine.fenced()
        elif purpose == "end":
            self.final_report = report

    # ---- the end

    def _check_finished(self, finished: Finished) -> None:
        """The final status has its cause."""
        assert (finished.error is not None) == (finished.status == "failed")
        code = finished.error.code if finished.error else None
        all_stored, count = self.end_stored, len(self.chunks)
        start_fed = any(isinstance(message, AudioStart) for _, message in self.stream[: self.fed])
        match finished.status, code:
            case "delivered", None:
                assert self.end_status == "complete" and (self.completes >= 1) is bool(self.chunks)
                assert self.received == [chunk.audio for chunk in self.chunks]
                progress = self.machine.progress
                self.outcomes["silent" if not count else "audible"] += 1
                assert progress.chunks == progress.total_chunks == count and progress.rtf == 0.25
                assert progress.bytes == self._bytes_of(count)
                assert progress.audio_seconds == self._seconds_of_all()
                assert progress.version > 0 or not count
            case "cancelled", None:
                assert self.cancelled or (self.end_status == "cancelled" and all_stored)
                link, every = self.connection, self.delivery_rules.confirm_every
                assert every is None or link is None or not link.unconfirmed, "the receiver may still read chunks"
            case "failed", "oraserver_unreachable":
                assert self.failures == self.delivery_rules.max_retries + 1 or self.unreachable
                assert count or not self.may_be_silent, "an utterance without audio needs no OraServer"
            case "failed", "oraserver_refused":
                assert self.refused and (count or not self.may_be_silent)
            case "failed", "engine_error":
                assert self.end_status == "failed" and all_stored
                assert self.ever_written == count, "audio from before the failure was not written"
                assert self.delivery_rules.confirm_every is None or self.confirmed == count, "… or not confirmed"
            case "failed", "synth_stalled":
                self._check_stalled()
                assert start_fed or self.now - self.owner_began_at <= RETENTION_S
            case "failed", "audio_expired":
                self._check_stalled()
                assert not start_fed
                assert self.now - self.owner_began_at > RETENTION_S
            case _:
                raise AssertionError(f"unexpected {finished}")

    def _check_stalled(self) -> None:
        """Nothing came for `stall_s` seconds, and the stream was not full in the last look, which came after that."""
        assert not self.end_stored
        assert self.now >= self.restarted_at + self.delivery_rules.stall_s
        assert self.look is None, "an answer is outstanding"
        assert self.asked_room_at >= self.restarted_at, "it has not looked at the stream"

    def _bytes_of(self, count: int) -> int:
        return sum(len(chunk.audio) for chunk in self.chunks[:count])

    def _seconds_of_all(self) -> float:
        if self.start.format == "wav":
            return round(SPEC.seconds(max(0, self._bytes_of(len(self.chunks)) - 44)), 3)
        return round(self.speech_s, 3)

    @invariant()
    def progress_counts_confirmed_audio_breaks_and_repeats(self) -> None:
        if not self.began:
            return
        progress = self.machine.progress
        assert progress.chunks == self.confirmed
        assert (progress.reconnects, progress.retransmitted) == (self.reconnects, self.retransmitted)
        assert progress.version == self.version
        assert progress.bytes <= self._bytes_of(self.confirmed)
        if self.epoch == 1 or self.confirmed > self.delivered_before:
            assert progress.bytes == self._bytes_of(self.confirmed)

    @invariant()
    def audio_is_expected_until_all_of_it_was_passed_on(self) -> None:
        if self.began and self.machine.finished is None and self.fed == self.arrived:
            assert self.machine.expects_audio is not (self.end_stored and self.fed == len(self.stream))

    @invariant()
    def a_finished_delivery_does_not_change(self) -> None:
        if self.began and self.finished is not None:
            machine = self.machine
            assert machine.finished == self.finished and machine.progress == self.finished_progress
            assert machine.next_time() is None and not machine.wants_audio and not machine.expects_audio

    # ---- synth

    def _append(self, message: AudioMessage) -> int:
        sequence = len(self.stream) + 1
        self.stream.append((sequence, message))
        return sequence

    def _start_attempt(self) -> None:
        self.attempt = self._append(self.start)
        self.attempts += 1

    def _append_chunk(self, index: int) -> None:
        self._append(replace(self.chunks[index], attempt=self.attempt))

    def _append_end(self) -> None:
        error = EndError("engine_error", "test") if self.end_status == "failed" else None
        count = len(self.chunks)
        self._append(
            AudioEnd(self.attempt, self.end_status, count, self._bytes_of(count), self.speech_s, error, rtf=0.25)
        )
        self.end_stored = True

    def _store_next(self, *, swapped: bool = False) -> None:
        """Store the next chunk or the end; `swapped`: the message after it is stored first."""
        if self.end_stored:
            return
        if not self.attempt:
            self._start_attempt()
        index, last = self.next_index, len(self.chunks) - 1
        if index > last:
            self._append_end()
            return
        self.next_index += 1
        if swapped and index < last:
            self._append_chunk(index + 1)
            self.next_index += 1
        elif swapped and self.end_status == "complete":
            end = AudioEnd(self.attempt, "complete", last + 1, self._bytes_of(last + 1), self.speech_s, rtf=0.25)
            self._append(end)
            self.end_stored = True
        self._append_chunk(index)

    @rule(full=st.sampled_from([True, False, False]))
    def the_stream_of_audio_is_full_or_not(self, full: bool) -> None:
        """While it is full, no synth stores anything."""
        self.stream_full = full

    @precondition(lambda self: self.look is not None)
    @rule(known=st.sampled_from([True, True, False]))
    def the_answer_about_the_room_comes(self, known: bool) -> None:
        """If the owner changes before, it never comes."""
        self._answer_room(known=known)
        self._event()

    @precondition(lambda self: not self.synth_dead and not self.end_stored and not self.stream_full)
    @rule(count=st.integers(1, 6), swapped=st.booleans())
    def synth_stores_audio(self, count: int, swapped: bool) -> None:
        for _ in range(count):
            self._store_next(swapped=swapped)
        self._event()

    @precondition(
        lambda self: not self.synth_dead and not self.end_stored and not self.stream_full and self.attempts < 4
    )
    @rule(again=st.integers(0, 2), stray=st.sampled_from(["none", "ahead", "late"]))
    def another_synth_continues(self, again: int, stray: str) -> None:
        """The new attempt repeats `again` chunks. `stray`: a chunk of the old attempt that the new one replaces."""
        old = self.attempt
        if old and stray == "ahead" and self.next_index + 1 < len(self.chunks):
            self._append(AudioChunk(old, self.next_index + 1, 0, 0, NEVER_DELIVERED))
        self._start_attempt()
        for index in range(max(0, self.next_index - again), self.next_index):
            self._append_chunk(index)
        if old and stray == "late":
            self._append(AudioChunk(old, self.next_index, 0, 0, NEVER_DELIVERED))
        self._event()

    @precondition(lambda self: self.attempt and not self.synth_dead and not self.end_stored and not self.stream_full)
    @rule()
    def synth_waits_for_text(self) -> None:
        self._append(AudioWaiting(self.attempt))
        self._event()

    @precondition(lambda self: self.fault == "dead synth" and not self.end_stored)
    @rule()
    def synth_dies_for_good(self) -> None:
        self.synth_dead = True

    @precondition(lambda self: self.stored is None)
    @rule()
    def a_synth_claims_the_request(self) -> None:
        self._store(self._claim())
        self._event()

    @precondition(lambda self: self.arrived < len(self.stream))
    @rule(count=st.sampled_from([1, 3, 100]))
    def the_feed_receives(self, count: int) -> None:
        self.arrived = min(len(self.stream), self.arrived + count)
        self._event()

    # ---- OraServer and the link to it

    def _process(self, connection: Connection) -> None:
        """OraServer processes the next frame of a connection."""
        frame, at = connection.frames.popleft()
        match frame:
            case WriteChunk(_, chunk):
                assert not connection.silent, "a chunk of a cancelled utterance is heard after its end"
                if chunk.index < len(self.received):
                    assert self.received[chunk.index] == chunk.audio, "a repeat with other bytes"
                else:
                    assert chunk.index == len(self.received), "a gap"
                    self.received.append(chunk.audio)
            case WriteComplete(_, end):
                assert end.total_chunks == len(self.received), "complete before the last chunk"
                self.completes += 1
            case Confirm():
                connection.answers.append((frame, at))
            case WriteEnd():
                pass

    @precondition(lambda self: self.connecting)
    @rule()
    def the_link_opens(self) -> None:
        self._open()
        self._event()

    def _open(self) -> None:
        self.connecting = False
        if self.machine.finished is None:
            self.connection = Connection(self.confirmed, self._limits_s(quick=False))
            if self.unreachable:
                self.unreachable, self.failures = False, 0
            self.machine.link_up()

    @precondition(lambda self: self.connecting)
    @rule()
    def the_link_does_not_open(self) -> None:
        self._lose_link()
        self._event()

    @precondition(lambda self: self.fault == "refusing OraServer" and (self.connecting or self.connection))
    @rule()
    def oraserver_refuses(self) -> None:
        self._lose_link(refused=True)
        self._event()

    @precondition(lambda self: self.connection)
    @rule(processed=st.integers(0, 8), late=st.booleans())
    def the_link_breaks(self, processed: int, late: bool) -> None:
        """OraServer still processes some frames. The others are lost, or are processed `late`."""
        connection = self.connection
        assert connection is not None
        for _ in range(min(processed, len(connection.frames))):
            self._process(connection)
        if late:
            self.old_connections.append(connection)
        self._lose_link()
        self._event()

    @precondition(lambda self: self.connection and self.connection.frames)
    @rule(count=st.sampled_from([1, 3, 100]))
    def oraserver_processes_frames(self, count: int) -> None:
        connection = self.connection
        assert connection is not None
        for _ in range(min(count, len(connection.frames))):
            self._process(connection)
        self._event()

    @precondition(lambda self: self.connection and self.connection.answers)
    @rule()
    def an_answer_comes(self) -> None:
        self._answer()
        self._event()

    @precondition(lambda self: self.connection is None)
    @rule(complete=st.booleans())
    def an_answer_comes_after_the_break(self, complete: bool) -> None:
        self.machine.confirmed(99, complete, self.now)
        self._event()

    @precondition(lambda self: any(connection.frames for connection in self.old_connections))
    @rule(data=st.data(), count=st.sampled_from([1, 3, 100]))
    def frames_of_an_old_connection_arrive_late(self, data: st.DataObject, count: int) -> None:
        connection = data.draw(st.sampled_from([old for old in self.old_connections if old.frames]))
        for _ in range(min(count, len(connection.frames))):
            self._process(connection)

    @rule(frames=st.sampled_from([0, 1, 3, 1000, 1000]), in_kernel=st.sampled_from([0, 1, 1000, 1000]))
    def the_link_has_room(self, frames: int, in_kernel: int) -> None:
        """The link takes writes while fewer than `frames` frames are unprocessed. `in_kernel` of those are sent."""
        self.capacity, self.in_kernel = frames, in_kernel
        self._event()

    # ---- the owner

    @rule()
    def the_runner_steps(self) -> None:
        self._step()

    @rule(open_=st.sampled_from([True, True, False]))
    def the_gate_changes(self, open_: bool) -> None:
        """The lease or the session's feed lapses, or is current again."""
        self.gate = open_
        self._event()

    @precondition(lambda self: self.began)
    @rule(broken=st.booleans())
    def the_lease_is_over(self, broken: bool) -> None:
        """What is on its way to OraServer is cut, because another bridge may deliver now. The link may be `broken`."""
        self.gate = False
        self.lease_cut = self._on_its_way() and not broken
        self.machine.lease_over()
        if broken and self.connection is not None:
            self.old_connections.append(self.connection)
            self._lose_link()
        self._step()
        assert not self.lease_cut, "the link is not cut"

    @precondition(lambda self: self.pending is not None)
    @rule()
    def the_report_is_stored(self) -> None:
        self._report_stored()
        self._event()

    @precondition(lambda self: self.pending is not None and self.pending[0] == "checkpoint")
    @rule()
    def a_checkpoint_is_not_written(self) -> None:
        """NATS does not answer. The runner writes the next checkpoint after the next change."""
        self.pending = None
        self._event()

    @precondition(lambda self: self.fault == "cancel" and not self.cancelled)
    @rule()
    def the_request_is_cancelled(self) -> None:
        self.cancelled = True
        self.machine.cancel()
        self._event()

    @precondition(lambda self: self.final_report is None and self.epoch < 4)
    @rule(how=st.sampled_from(["crash", "crash after the write", "drain", "leave"]))
    def a_new_owner_takes_over(self, how: str) -> None:
        if how == "crash after the write" and self.pending is not None and self.pending[0] != "end":
            self._report_stored()
        if how == "drain" and self.machine.finished is None and (report := self._report()) is not None:
            self._store(report)
        if how in ("drain", "leave") and self._on_its_way():
            assert self.machine.on_its_way, "the link is not cut"
            self._cut()
        if self.connection is not None:
            self.old_connections.append(self.connection)
        self._new_owner()
        self._event()

    def _on_its_way(self) -> bool:
        """Whether OraServer may still read audio that it has not confirmed, and that is not final."""
        link, machine = self.connection, self.machine
        in_work = machine.finished is None or machine.settling
        streamed = link is not None and link.unconfirmed and self.delivery_rules.confirm_every is not None
        return link is not None and in_work and bool(streamed or link.asked_complete)

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        """The runner's loop wakes at each `next_time`. Until a timer ends, the feed has received what is stored."""
        until = self.now + seconds
        while (due := self.machine.next_time()) is not None and due <= until and self.finished is None:
            self._wake_at(due)
        self.now = until
        self._event()

    def _wake_at(self, due: float) -> None:
        self.now = max(self.now, due)
        self.arrived = len(self.stream)
        self._step()

    @rule()
    def everything_arrives(self) -> None:
        """One round without a fault."""
        self.gate, self.capacity = True, 1000
        self._round()

    def _round(self, *, link_opens: bool = True, refused: bool = False, reads: bool = True) -> None:
        self.arrived = len(self.stream)
        if self.stored is None:
            self._store(self._claim())
        if self.connecting and link_opens:
            self._open()
        elif self.connecting or (self.connection is not None and not link_opens):
            self._lose_link(refused=refused)
        if reads:
            self._process_all()
            self._answer_all()
        if self.pending is not None:
            self._report_stored()
        if self.look is not None:
            self._answer_room(known=True)
        self._step()

    # ---- after the last rule

    def teardown(self) -> None:
        try:
            if self.began and sys.exc_info()[1] is self.exception_outside:
                self._heal()
                self._check_that_events_change_nothing()
        finally:
            self.patch.undo()

    def _heal(self) -> None:
        """End all faults except those that last. The delivery must end.

        If the utterance is cancelled, a slow OraServer reads nothing more. A full stream has room after a minute.
        """
        refused = self.fault == "refusing OraServer"
        self.gate, self.capacity = True, 1000
        room_at = self.now + 60.0
        while self.fault != "dead synth" and not self.end_stored:
            self._store_next()
        if self.fault == "cancel" and not self.cancelled:
            for _ in range(3):  # until chunks are written
                self._round(reads=False)
            self.the_request_is_cancelled()
        for _ in range(200):
            self.stream_full &= self.now < room_at
            reads = not self.cancelled or "OraServer" not in self.slow
            self._round(link_opens=not refused and self.fault != "dead OraServer", refused=refused, reads=reads)
            if self.final_report is not None:
                break
            idle = not reads or self.connection is None or not (self.connection.frames or self.connection.answers)
            due = self.machine.next_time()
            if idle and due is not None and not self.connecting and self.pending is None and self.look is None:
                self._wake_at(due)
        assert self.final_report is not None, "the delivery never ends"
        final, finished = self.final_report, self.finished
        assert finished is not None and (final.status, final.error) == (finished.status, finished.error)
        if final.status == "delivered":
            count = len(self.chunks)
            assert final.delivered_chunks == final.total_chunks == count and final.bytes == self._bytes_of(count)
            assert final.audio_seconds == self._seconds_of_all()
        self.outcomes[finished.error.code if finished.error else finished.status] += 1

    def _check_that_events_change_nothing(self) -> None:
        machine = self.machine
        events: list[Callable[[], None]] = [
            lambda: machine.audio(999, self.start, self.now),
            lambda: machine.audio_room(True, self.now),
            lambda: machine.link_lost("test", self.now),
            lambda: machine.confirmed(99, True, self.now),
            machine.link_up,
            machine.cancel,
        ]
        for event in events:
            event()
            self.now += 1000.0
            assert machine.poll(self.now, may_write=True, room=True) is None
            self.a_finished_delivery_does_not_change()


class WebSocketDelivery(Delivery):
    rules_of_bridge = DeliveryRules(confirm_every=4, max_unconfirmed_bytes=120)


class HttpDelivery(Delivery):
    rules_of_bridge = DeliveryRules(confirm_every=None, max_unconfirmed_bytes=None)


class EndFramesDelivery(Delivery):
    rules_of_bridge = DeliveryRules(confirm_every=4, max_unconfirmed_bytes=120, end_frames=True)


TestEndFramesDelivery = EndFramesDelivery.TestCase
TestEndFramesDelivery.settings = SETTINGS
TestWebSocketDelivery = WebSocketDelivery.TestCase
TestWebSocketDelivery.settings = SETTINGS
TestHttpDelivery = HttpDelivery.TestCase
TestHttpDelivery.settings = SETTINGS


@pytest.mark.parametrize("kind", [WebSocketDelivery, EndFramesDelivery, HttpDelivery])
@pytest.mark.parametrize(
    ("end_status", "fault", "outcome"),
    [
        ("complete", "none", "delivered"),
        ("complete", "cancel", "cancelled"),
        ("cancelled", "none", "cancelled"),
        ("failed", "none", "engine_error"),
        ("complete", "dead synth", "synth_stalled"),
        ("complete", "dead OraServer", "oraserver_unreachable"),
        ("complete", "refusing OraServer", "oraserver_refused"),
    ],
)
def test_the_model_reaches_this_outcome(
    kind: type[Delivery], end_status: EndStatus, fault: Fault, outcome: str
) -> None:
    """Else the machines above would test less than they seem to."""
    assert outcome in counted(kind, (end_status, fault), 10)


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("cancel", "settled"),
        ("cancel", "cut"),
        ("cancel", "unsent bytes"),
        ("dead synth", "full stream"),
        ("none", "lease over"),
        ("none", "silent"),
        ("dead OraServer", "silent"),
        ("refusing OraServer", "silent"),
    ],
)
def test_the_model_reaches_this_step(fault: Fault, step: str) -> None:
    assert step in counted(WebSocketDelivery, ("complete", fault), 80)


@pytest.mark.parametrize(
    ("end_status", "fault", "step"),
    [
        ("complete", "cancel", "end frame"),
        ("complete", "cancel", "end frame over a new link"),
        ("failed", "none", "end frame"),
    ],
)
def test_the_model_writes_end_frames(end_status: EndStatus, fault: Fault, step: str) -> None:
    assert step in counted(EndFramesDelivery, (end_status, fault), 40)


def counted(kind: type[Delivery], only: tuple[EndStatus, Fault], examples: int) -> Counter[str]:
    """Run the model with one end and one fault. Return how often it reached each outcome and each rare step."""

    class Counting(kind):  # type: ignore[misc, valid-type]
        outcomes: ClassVar[Counter[str]] = Counter()

    Counting.only = only
    same_examples = settings(SETTINGS, max_examples=examples, derandomize=True, database=None, phases=[Phase.generate])
    run_state_machine_as_test(Counting, settings=same_examples)
    return Counting.outcomes
