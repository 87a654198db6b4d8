"""The delivery of one utterance, tested against a model of synth, the runner and OraServer, with random failures.

The model stores audio as a synth does and passes it to the machine as the runner does. Its OraServer stores the frames
that it has processed, answers confirmations in order, and loses unprocessed frames when it dies. A takeover starts a
new machine at the last written checkpoint. The invariants are checked after each effect, and the outcome at the end.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from orastream.base.backoff import Backoff
from orastream.contract.audio import Format, PcmSpec, wav_header
from orastream.contract.audio_messages import (
    AudioChunk,
    AudioEnd,
    AudioMessage,
    AudioStart,
    AudioWaiting,
    EndError,
    EndStatus,
)
from orastream.delivery.rules import utterance as module
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    Confirm,
    Connect,
    DeliveryRules,
    Effect,
    Fence,
    Finished,
    Rewind,
    WriteChunk,
    WriteComplete,
)

pytestmark = pytest.mark.unit

RUNS = 200 * int(os.environ.get("FUZZ", "1"))
REQUEST = 3
SPEC = PcmSpec(8000)
START = AudioStart(REQUEST, "wav", SPEC.sample_rate_hz, 1, "espeak", "ko-KR")
WS = DeliveryRules(confirm_every=4, max_unconfirmed_bytes=120)
HTTP = DeliveryRules(confirm_every=None, max_unconfirmed_bytes=None)


def speech(rng: random.Random, count: int, status: EndStatus, attempts: int) -> list[tuple[int, AudioMessage]]:
    """The audio messages of an utterance of `count` chunks, synthesized in one or several attempts."""
    sequence, attempt, out = 1, 1, []
    cuts = sorted(rng.randint(0, count) for _ in range(attempts - 1))
    out.append((1, START))
    for index in range(count):
        while cuts and cuts[0] == index:
            cuts.pop(0)
            if rng.random() < 0.5:  # stored out of order just before the synth died: the next attempt makes it again
                sequence += 1
                out.append((sequence, AudioChunk(attempt, index + 1, 0, 0, b"lost")))
            sequence += 1
            attempt = sequence
            out.append((sequence, START))
        sequence += 1
        audio = wav_header(SPEC) if index == 0 else bytes(rng.randrange(256) for _ in range(2 * rng.randint(1, 20)))
        out.append((sequence, AudioChunk(attempt, index, index, 0, audio)))
    total = sum(len(x.audio) for _, x in out if isinstance(x, AudioChunk) and x.audio != b"lost")
    out.append(
        (
            sequence + 1,
            AudioEnd(
                attempt, status, count, total, 1.0, EndError("engine_error", "broken") if status == "failed" else None
            ),
        )
    )
    return out


class Connection:
    """Frames written to OraServer, in order. Frames not processed when the link breaks may be lost."""

    def __init__(self) -> None:
        self.frames: deque[WriteChunk | WriteComplete | Confirm] = deque()
        self.answers: deque[Confirm] = deque()


class World:
    def __init__(self, seed: int, http: bool) -> None:
        self.rng = rng = random.Random(seed)
        self.http = http
        self.rules = HTTP if http else WS
        self.count = rng.choice((0, 1, 2, 5, 12, 25))
        self.end_status: EndStatus = rng.choice(("complete",) * 8 + ("failed", "cancelled"))
        self.stream = speech(rng, self.count, self.end_status, rng.choice((1, 1, 2, 3)))
        self.chunks = [x for _, x in self.stream if isinstance(x, AudioChunk) and x.audio != b"lost"]
        self.stored = 0
        self.stored_at = 0.0
        self.synth_dies_at = rng.randrange(len(self.stream)) if rng.random() < 0.1 else None
        self.break_rate = rng.choice((0.0, 0.01, 0.05, 0.2))
        self.now = 100.0
        # OraServer
        self.received: dict[int, bytes] = {}
        self.completes = 0
        # the owner
        self.checkpoint = 0
        self.owners = 0
        self.final: Finished | None = None
        self.cancelled = False
        self.new_owner()

    def new_owner(self) -> None:
        self.owners += 1
        self.machine = UtteranceDelivery(
            REQUEST, self.rules, self.now, self.checkpoint, self.owners > 1, backoff=Backoff(1, 1, rng=self.rng)
        )
        self.connection: Connection | None = None
        self.old: list[Connection] = getattr(self, "old", [])
        self.connecting = False
        self.fed = 0
        self.feed_open = True
        self.gate = self.rng.random() < 0.8
        self.room = True
        self.claimed = False
        self.fence_asked = False
        self.fenced = self.owners == 1
        self.failures = 0
        self.known_confirmed = self.checkpoint
        self.written_to = self.checkpoint
        self.retransmitted = self.reconnects = 0
        self.signed_at = self.now
        self.last_fed_at = self.now

    # ---- the runner

    def feed(self, most: int = 10_000) -> None:
        while most and self.feed_open and self.fed < self.stored and self.machine.wants_audio:
            self.machine.audio(*self.stream[self.fed], self.now)
            self.last_fed_at = self.now
            self.fed += 1
            most -= 1

    def settle(self) -> None:
        for _ in range(10_000):
            self.feed()
            effect = self.machine.poll(self.now, may_write=self.gate, room=self.room)
            if effect is None:
                return
            self.carry_out(effect)
        raise AssertionError("poll never comes to rest")

    def carry_out(self, effect: Effect) -> None:
        assert self.final is None, f"{effect} after {self.final}"
        if isinstance(effect, WriteChunk | WriteComplete | Confirm | Fence):
            assert self.gate, "the gate is closed"
            assert self.claimed, "before the claim"
            assert self.connection is not None and not self.cancelled
            assert isinstance(effect, Fence) or self.fenced, "before the fence"
        match effect:
            case Connect():
                assert self.connection is None and not self.connecting
                self.connecting = True
            case WriteChunk(_, chunk):
                assert self.room and chunk == self.chunks[chunk.index]
                assert self.connection is not None
                self.connection.frames.append(effect)
                self.retransmitted += chunk.index < self.written_to
                self.written_to = max(self.written_to, chunk.index + 1)
            case WriteComplete(_, total):
                assert self.room and total == self.count and self.end_status == "complete"
                assert self.connection is not None
                self.connection.frames.append(effect)
            case Confirm(_, complete):
                assert self.connection is not None
                assert complete or not self.http
                self.connection.frames.append(effect)
            case Rewind():
                self.fed = 0
                self.feed_open = self.rng.random() < 0.3  # a new feed opens with a delay
            case Fence():
                assert not self.fenced and not self.fence_asked
                self.fence_asked = True
            case Finished():
                self.final = effect
                self.check_final(effect)

    # ---- OraServer

    def process(self, connection: Connection) -> None:
        frame = connection.frames.popleft()
        match frame:
            case WriteChunk(_, chunk):
                if chunk.index in self.received:
                    assert self.received[chunk.index] == chunk.audio, "a repeat that differs"
                else:
                    assert chunk.index == len(self.received), "a gap"
                    self.received[chunk.index] = chunk.audio
            case WriteComplete(_, total):
                assert total == len(self.received)
                self.completes += 1
            case Confirm():
                connection.answers.append(frame)

    def answer(self) -> None:
        assert self.connection is not None
        asked = self.connection.answers.popleft()
        if asked.chunks > self.known_confirmed or asked.complete:
            self.failures = 0
        self.known_confirmed = max(self.known_confirmed, asked.chunks)
        self.machine.confirmed(asked.chunks, asked.complete, self.now)

    def lose_link(self, *, refused: bool = False) -> None:
        if self.connection is not None:
            self.reconnects += 1
            for _ in range(self.rng.randint(0, len(self.connection.frames))):
                self.process(self.connection)  # frames that it still processed
            if self.rng.random() < 0.3:
                self.connection.answers.clear()
                self.old.append(self.connection)  # buffered frames may arrive later
        self.connection, self.connecting = None, False
        self.failures += 1
        self.machine.link_lost("it broke", self.now, refused=refused)
        if refused:
            self.refused = True

    # ---- the end

    refused = False

    def check_final(self, final: Finished) -> None:
        assert (final.error is not None) == (final.status == "failed")
        code = final.error.code if final.error else None
        match final.status, code:
            case "delivered", None:
                assert self.end_status == "complete" and self.completes >= 1
                assert [self.received[i] for i in range(self.count)] == [x.audio for x in self.chunks]
                progress = self.machine.progress
                assert progress.chunks == progress.total_chunks == self.count
                size = sum(len(x.audio) for x in self.chunks)
                assert progress.bytes == size
                assert progress.audio_seconds == round(SPEC.seconds(max(0, size - 44)), 3)
                assert progress.retransmitted == self.retransmitted
                assert progress.reconnects == self.reconnects
                assert progress.version > 0
            case "cancelled", None:
                assert self.cancelled or self.end_status == "cancelled"
            case "failed", "oraserver_unreachable":
                assert self.failures == self.rules.max_retries + 1
            case "failed", "oraserver_refused":
                assert self.refused
            case "failed", "engine_error":
                assert self.end_status == "failed" and self.stored == len(self.stream)
                assert self.written_to == self.count, "what was spoken before it failed is delivered"
            case "failed", "synth_stalled":
                assert self.stored < len(self.stream), "all the audio is there"
                assert self.now - max(self.stored_at, self.signed_at) >= self.rules.stall_s
            case _:
                raise AssertionError(f"unexpected {final}")

    # ---- random events

    def synth(self) -> None:
        if self.stored < len(self.stream) and self.stored != self.synth_dies_at:
            self.stored += 1
            self.stored_at = self.now

    def step(self) -> None:
        rng = self.rng
        if rng.random() < self.break_rate and (self.connection or self.connecting):
            self.lose_link()
            return
        connection = self.connection
        match rng.choice(
            "synth synth synth feed server server server answer answer link link claim claim fence fence gate room "
            "time time checkpoint tick late rare".split()
        ):
            case "synth":
                for _ in range(rng.randint(1, 4)):
                    self.synth()
            case "feed":
                self.feed_open = True
                self.feed(rng.randint(0, 5))
            case "server" if connection is not None and connection.frames:
                for _ in range(rng.randint(1, len(connection.frames))):
                    self.process(connection)
            case "answer" if connection is not None and connection.answers:
                self.answer()
            case "link" if self.connecting:
                self.connecting, self.connection = False, Connection()
                self.machine.link_up()
            case "claim":
                if not self.claimed:
                    self.signed_at = self.now
                self.claimed = True
                self.machine.claimed(self.now)
            case "fence" if self.fence_asked and not self.fenced:
                self.fenced = True
                self.machine.fenced()
            case "gate":
                self.gate = rng.random() < 0.7
                if not self.gate:
                    self.sign()
            case "room":
                self.room = rng.random() < 0.7
            case "time":
                self.now += rng.choice((0.01, 0.1, 1.0))
            case "tick":
                due = self.machine.next_time()
                if due is not None and due - self.now < 5.0:
                    self.now = max(self.now, due)
            case "checkpoint":
                self.checkpoint = self.machine.progress.chunks
            case "late" if self.old:
                late = rng.choice(self.old)
                if late.frames:
                    self.process(late)
            case "rare":
                match rng.choice(("cancel", "refuse", "slow", "", "", "", "", "take", "take", "take")):
                    case "cancel" if rng.random() < 0.3:
                        self.cancelled = True
                        self.machine.cancel()
                    case "refuse" if self.connecting and rng.random() < 0.3:
                        self.lose_link(refused=True)
                    case "slow":
                        self.now += 30.0
                        self.catch_up()
                    case "take":
                        if connection is not None:
                            self.old.append(connection)
                        self.new_owner()

    def catch_up(self) -> None:
        """Let synth store audio for the time that has passed, unless it is dead."""
        for _ in range(3):
            self.synth()
        self.feed_open = True

    def sign(self) -> None:
        self.signed_at = self.now
        self.machine.sign(self.now)

    def heal(self) -> Iterator[None]:
        """No failures from now on, except a dead synth. The utterance must end."""
        self.break_rate, self.gate, self.room = 0.0, True, True
        while self.stored < len(self.stream) and self.stored != self.synth_dies_at:
            self.synth()
        for _ in range(500):
            self.feed_open = True
            if not self.claimed:
                self.claimed, self.signed_at = True, self.now
                self.machine.claimed(self.now)
            if self.connecting:
                self.connecting, self.connection = False, Connection()
                self.machine.link_up()
            if self.fence_asked and not self.fenced:
                self.fenced = True
                self.machine.fenced()
            while self.connection is not None and self.connection.frames:
                self.process(self.connection)
            while self.connection is not None and self.connection.answers and self.final is None:
                self.answer()
            yield
            due = self.machine.next_time()
            if due is not None and not (self.connection and (self.connection.frames or self.connection.answers)):
                self.now = max(self.now, due)
                yield

    def run(self) -> None:
        for _ in range(self.rng.choice((10, 40, 150))):
            self.step()
            self.settle()
            if self.final is not None:
                break
        else:
            for _ in self.heal():
                self.settle()
                if self.final is not None:
                    break
        assert self.final is not None, "it never ends"
        for late in ("audio", "link", "time"):  # no event changes a finished delivery
            match late:
                case "audio":
                    self.machine.audio(999, START, self.now)
                case "link":
                    self.machine.link_lost("again", self.now)
                    self.machine.confirmed(99, True, self.now)
                    self.machine.cancel()
                case _:
                    self.now += 1000.0
            assert self.machine.poll(self.now, may_write=True, room=True) is None
        assert self.machine.finished == self.final and self.machine.next_time() is None
        assert not self.machine.wants_audio and not self.machine.expects_audio


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("queue_bytes", [60, 256 << 10])
def test_whatever_happens_all_chunks_in_order_or_one_error(
    monkeypatch: pytest.MonkeyPatch, http: bool, queue_bytes: int
) -> None:
    monkeypatch.setattr(module, "QUEUE_BYTES", queue_bytes)
    outcomes: dict[str, int] = {}
    for seed in range(RUNS):
        world = World(seed, http)
        try:
            world.run()
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc
        assert world.final is not None
        name = world.final.error.code if world.final.error else world.final.status
        outcomes[name] = outcomes.get(name, 0) + 1
    assert outcomes["delivered"] > RUNS / 4, outcomes  # enough deliveries succeed for the test to be useful
    assert {"cancelled", "engine_error", "synth_stalled"} <= outcomes.keys(), outcomes


# ---- single rules


class Bench:
    """A machine and a clock for single steps. `effects()` returns all effects that are due now."""

    def __init__(self, rules: DeliveryRules = DeliveryRules(), **fields: object) -> None:  # noqa: B008 - frozen
        self.now = 0.0
        self.machine = UtteranceDelivery(REQUEST, rules, 0.0, backoff=Backoff(1, 1, rng=random.Random(1)), **fields)  # type: ignore[arg-type]
        self.sequence = 0
        self.room = self.gate = True

    def effects(self) -> list[Effect]:
        out: list[Effect] = []
        while (effect := self.machine.poll(self.now, may_write=self.gate, room=self.room)) is not None:
            out.append(effect)
            assert len(out) < 1000
        return out

    def start(self) -> Bench:
        self.machine.claimed(self.now)
        self.give(AudioStart(REQUEST, "pcm16", 8000, 1, "e", "l"))
        return self

    def give(self, message: AudioMessage) -> None:
        self.sequence += 1
        self.machine.audio(self.sequence, message, self.now)

    def chunks(self, first: int, last: int, size: int = 10) -> None:
        for index in range(first, last):
            self.give(AudioChunk(1, index, 0, 0, bytes(size)))

    def end(self, total: int, status: EndStatus = "complete", error: str | None = None) -> None:
        why = EndError("engine_error", error) if error is not None else None
        self.give(AudioEnd(1, status, total, 0, 0.0, why))

    def connected(self) -> Bench:
        assert self.effects() == [Connect()]
        self.machine.link_up()
        return self


def indexes(effects: list[Effect]) -> list[int]:
    return [e.chunk.index for e in effects if isinstance(e, WriteChunk)]


def test_a_plain_delivery_effect_by_effect() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 10)
    bench.end(10)
    effects = bench.effects()
    names = [type(e).__name__ for e in effects]
    assert names == ["WriteChunk"] * 8 + ["Confirm"] + ["WriteChunk"] * 2 + ["WriteComplete", "Confirm"]
    assert [e for e in effects if isinstance(e, Confirm)] == [Confirm(8, False), Confirm(10, True)]
    assert bench.machine.progress.version == 1, "the listener hears the first chunk: worth a checkpoint"
    bench.now = 0.5
    bench.machine.confirmed(8, False, bench.now)
    assert (bench.machine.progress.chunks, bench.machine.progress.bytes) == (8, 80)
    assert bench.effects() == []
    bench.machine.confirmed(10, True, bench.now)
    assert bench.effects() == [Finished("delivered")]
    assert bench.machine.progress.audio_seconds == round(100 / 16000, 3)
    assert bench.effects() == []


def test_it_connects_before_the_claim_but_writes_nothing() -> None:
    bench = Bench().connected()
    bench.give(START)
    bench.chunks(0, 3)
    assert bench.effects() == []
    bench.machine.claimed(bench.now)
    assert indexes(bench.effects()) == [0, 1, 2]


def test_a_closed_gate_and_no_room_hold_the_writes() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.gate = False
    assert bench.effects() == []
    bench.gate, bench.room = True, False
    assert bench.effects() == []
    bench.room = True
    assert indexes(bench.effects()) == [0, 1, 2]


def test_at_most_so_many_bytes_are_unconfirmed() -> None:
    bench = Bench(DeliveryRules(confirm_every=100, max_unconfirmed_bytes=35)).start().connected()
    bench.chunks(0, 9)
    assert indexes(bench.effects()) == [0, 1, 2]
    bench.machine.confirmed(2, False, bench.now)
    assert indexes(bench.effects()) == [3, 4]
    bench.machine.confirmed(3, False, bench.now)
    assert indexes(bench.effects()) == [5]


def test_a_chunk_larger_than_that_still_goes() -> None:
    bench = Bench(DeliveryRules(max_unconfirmed_bytes=5)).start().connected()
    bench.chunks(0, 2)
    assert bench.effects()[0:1] == [
        WriteChunk(AudioStart(3, "pcm16", 8000, 1, "e", "l"), AudioChunk(1, 0, 0, 0, bytes(10)))
    ]
    bench.machine.confirmed(1, False, bench.now)
    assert indexes(bench.effects()) == [1]


def test_unwritten_audio_stays_in_the_stream() -> None:
    bench = Bench().start()
    size = 100_000
    for index in range(9):
        if not bench.machine.wants_audio:
            break
        bench.give(AudioChunk(1, index, 0, 0, bytes(size)))
    assert index == 3


def test_a_break_repeats_exactly_what_is_unconfirmed() -> None:
    bench = Bench(DeliveryRules(confirm_every=4)).start().connected()
    bench.chunks(0, 6)
    assert indexes(bench.effects()) == [0, 1, 2, 3, 4, 5]
    bench.machine.confirmed(4, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.sequence = 0
    bench.start()
    bench.chunks(0, 6)
    bench.now = 5.0
    bench.connected()
    assert indexes(bench.effects()) == [4, 5]
    assert (bench.machine.progress.retransmitted, bench.machine.progress.reconnects) == (2, 1)
    assert bench.machine.progress.bytes == 40


def test_a_break_with_all_confirmed_needs_no_rewind() -> None:
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()
    bench.chunks(0, 2)
    bench.effects()
    bench.machine.confirmed(2, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    bench.chunks(2, 4)
    bench.now = 5.0
    bench.connected()
    assert indexes(bench.effects()) == [2, 3]


def test_the_schedule_of_retries() -> None:
    bench = Bench().start()
    waits = []
    for _ in range(4):
        assert bench.effects() == [Connect()]
        bench.machine.link_lost("refused", bench.now)
        due = bench.machine.next_time()
        if due is not None:
            waits.append(due - bench.now)
            bench.now = due - 0.001
            assert bench.effects() == []
            bench.now = due
    assert [round(w / base, 6) for w, base in zip(waits, (0.5, 1, 2), strict=True)] == pytest.approx([1] * 3, abs=0.2)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None
    assert (finished.status, finished.error.code, finished.error.retryable) == ("failed", "oraserver_unreachable", True)


def test_a_mere_connect_does_not_start_the_count_anew_but_a_confirmed_chunk_does() -> None:
    bench = Bench(DeliveryRules(confirm_every=1)).start()
    bench.chunks(0, 1)

    def again() -> None:
        bench.sequence = 0
        bench.start()
        bench.chunks(0, 1)
        bench.now += 3

    for _ in range(3):
        bench.connected()
        bench.effects()
        bench.machine.link_lost("gone", bench.now)
        assert bench.effects() == [Rewind()]
        again()
    bench.connected()
    bench.effects()
    bench.machine.confirmed(1, False, bench.now)
    for _ in range(3):  # the count was reset
        bench.machine.link_lost("gone", bench.now)
        assert bench.machine.finished is None
        bench.now += 3
        bench.connected()
        bench.machine.confirmed(1, False, bench.now)  # no newly confirmed chunk
    bench.machine.link_lost("gone", bench.now)
    assert bench.machine.finished is not None


def test_being_told_of_a_loss_twice_counts_once() -> None:
    bench = Bench().start().connected()
    for _ in range(9):
        bench.machine.link_lost("gone", bench.now)
    assert bench.machine.finished is None and bench.machine.progress.reconnects == 1


@pytest.mark.parametrize("when", ["connecting", "up"])
def test_a_4xx_ends_it_at_once(when: str) -> None:
    bench = Bench().start()
    assert bench.effects() == [Connect()]
    if when == "up":
        bench.machine.link_up()
    bench.machine.link_lost("403", bench.now, refused=True)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None
    assert (finished.error.code, finished.error.retryable) == ("oraserver_refused", False)


def test_http_confirms_only_the_whole_and_repeats_all_of_it() -> None:
    bench = Bench(HTTP).start().connected()
    bench.chunks(0, 40, 10_000)
    assert len(indexes(bench.effects())) == 40
    assert bench.machine.progress.version == 0, "nobody hears anything before the POST"
    bench.end(40)
    effects = bench.effects()
    assert [type(e) for e in effects] == [WriteComplete, Confirm] and effects[1] == Confirm(40, True)
    bench.machine.link_lost("500", bench.now)
    assert bench.effects() == [Rewind()]
    bench.sequence = 0
    bench.start()
    bench.chunks(0, 40, 10_000)
    bench.end(40)
    bench.now = 5.0
    bench.connected()
    effects = bench.effects()
    assert indexes(effects) == list(range(40)) and effects[-1] == Confirm(40, True)
    bench.machine.confirmed(40, True, bench.now)
    assert bench.effects() == [Finished("delivered")]
    assert bench.machine.progress.bytes == 400_000


def test_a_takeover_writes_its_fence_first_and_goes_on_from_the_checkpoint() -> None:
    bench = Bench(delivered=2, must_fence=True).start().connected()
    bench.chunks(0, 4)
    assert bench.effects() == [Fence()]
    bench.machine.fenced()
    assert indexes(bench.effects()) == [2, 3]
    assert bench.machine.progress.bytes == 20, "what the owner before has delivered is counted"
    assert bench.machine.progress.retransmitted == 0


def test_a_takeover_of_a_whole_utterance_only_completes() -> None:
    bench = Bench(delivered=2).start().connected()
    bench.chunks(0, 2)
    bench.end(2)
    effects = bench.effects()
    assert [type(e) for e in effects] == [WriteComplete, Confirm] and effects[1] == Confirm(2, True)


def test_after_a_cancel_nothing_leaves() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.machine.cancel()
    assert bench.effects() == [Finished("cancelled")]
    bench.chunks(3, 6)
    bench.end(6)
    bench.machine.link_up()
    assert bench.effects() == []


def test_synths_cancelled_end_stops_what_is_queued() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.end(3, "cancelled")
    assert bench.effects() == [Finished("cancelled")]


def test_a_failed_synthesis_delivers_what_there_is_without_complete() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.end(3, "failed", "no such voice")
    effects = bench.effects()
    assert indexes(effects) == [0, 1, 2] and effects[-1] == Confirm(3, False)
    bench.machine.confirmed(3, False, bench.now)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None
    assert (finished.error.code, finished.error.message) == ("engine_error", "no such voice")
    assert bench.machine.progress.chunks == 3


def test_a_break_while_the_rest_of_a_failed_synthesis_is_on_its_way_loses_none_of_it() -> None:
    """It is written again on the next link. The request is final only after that, or if no link can be opened."""
    bench = Bench().start().connected()

    def said() -> None:
        bench.chunks(0, 3)
        bench.end(3, "failed", "no such voice")

    said()
    bench.effects()
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.sequence = 0
    bench.give(AudioStart(REQUEST, "pcm16", 8000, 1, "e", "l"))
    said()
    bench.now = 5.0
    assert bench.effects() == [Connect()]
    bench.machine.link_up()
    effects = bench.effects()
    assert indexes(effects) == [0, 1, 2] and effects[-1] == Confirm(3, False)
    bench.machine.confirmed(3, False, bench.now)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "engine_error"
    assert bench.machine.progress.chunks == 3


def test_a_failed_synthesis_over_http_ends_at_once() -> None:
    bench = Bench(HTTP).start().connected()
    bench.chunks(0, 3)
    bench.end(3, "failed", "no such voice")
    assert isinstance(bench.effects()[-1], Finished)


def test_a_text_that_comes_in_pieces_is_completed_with_all_of_it() -> None:
    bench = Bench().start().connected()
    bench.give(AudioChunk(1, 0, 0, 0, b"12", "One."))
    bench.give(AudioEnd(1, "complete", 1, 2, 0.1, text="One. Two."))
    write, complete, _ = bench.effects()
    assert isinstance(write, WriteChunk) and write.chunk.text == "One."
    assert isinstance(complete, WriteComplete) and complete.text == "One. Two."


def test_a_synth_that_waits_for_text_does_not_stall() -> None:
    bench = Bench().start().connected()
    for _ in range(20):
        bench.now += 15.0
        bench.give(AudioWaiting(1))
        assert bench.effects() == []
    bench.now += 20.0
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "synth_stalled"


def test_a_stall_is_told_from_waiting_for_the_claim() -> None:
    bench = Bench().connected()
    bench.now = 1000.0
    assert bench.effects() == [] and bench.machine.next_time() is None
    bench.machine.claimed(bench.now)
    assert bench.machine.next_time() == 1020.0
    bench.machine.claimed(1010.0)  # a repeated claim changes nothing
    bench.now = 1019.9
    bench.give(START)
    bench.now = 1039.8
    assert bench.effects() == []
    bench.now = 1039.9
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "synth_stalled"


def test_nats_being_away_is_no_stall() -> None:
    bench = Bench().start().connected()
    bench.now = 100.0
    bench.machine.sign(bench.now)
    assert bench.effects() == []


def test_a_rewind_long_after_the_last_audio_is_no_stall() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.end(3)
    assert len(bench.effects()) == 5
    bench.now = 100.0
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.now = 105.0
    assert bench.effects() == [Connect()], "the audio is on its way again"


def test_an_oraserver_that_takes_nothing_for_long_is_no_stall_of_synth() -> None:
    bench = Bench(DeliveryRules(max_unconfirmed_s=60.0)).start().connected()
    bench.room = False
    bench.chunks(0, 3, 100_000)
    for _ in range(9):
        bench.now += 10.0
        assert bench.effects() == [] and not bench.machine.wants_audio
    bench.room = True
    assert indexes(bench.effects()) == [0, 1, 2]
    assert bench.machine.finished is None and bench.machine.wants_audio


@pytest.mark.parametrize(
    ("asked_at", "code"), [(None, "synth_stalled"), (-30.0, "synth_stalled"), (-590.0, "audio_expired")]
)
def test_audio_that_is_gone_is_told_from_a_synth_that_stalls(asked_at: float | None, code: str) -> None:
    bench = Bench(asked_at=asked_at).connected()
    bench.machine.claimed(bench.now)
    bench.chunks(3, 6)  # the chunks before are not stored any more
    bench.now = 20.0
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == code


def test_audio_of_another_request_under_the_same_id_is_not_spoken() -> None:
    bench = Bench().connected()
    bench.machine.claimed(bench.now)
    bench.give(AudioStart(REQUEST + 1, "wav", 8000, 1, "e", "l"))
    bench.chunks(0, 3)
    bench.end(3)
    assert bench.effects() == []


def test_an_answer_that_comes_after_the_break_counts_for_nothing() -> None:
    """Its connection is closed. The chunks that it confirms are written again."""
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()
    bench.chunks(0, 2)
    assert bench.effects()[-1] == Confirm(2, False)
    bench.machine.link_lost("gone", bench.now)
    bench.machine.confirmed(2, True, bench.now)
    assert bench.machine.progress.chunks == 0 and bench.machine.finished is None


def test_the_waits_begin_anew_with_the_count() -> None:
    bench = Bench(DeliveryRules(confirm_every=1)).start()
    for _ in range(3):
        assert bench.effects() == [Connect()]
        bench.machine.link_lost("refused", bench.now)
        bench.now += 2.5
    bench.connected()
    bench.chunks(0, 1)
    bench.effects()
    bench.machine.confirmed(1, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    assert bench.machine.next_time() == pytest.approx(bench.now + 0.5, abs=0.11)


def playing(bench: Bench, chunks: list[AudioChunk], lasts_s: Callable[[AudioChunk], float]) -> tuple[float, float]:
    """Model an OraServer that reads chunks in order at playback speed and answers in order.

    Return the longest wait for an answer and the most unconfirmed speech, both in seconds.
    """
    frames: deque[WriteChunk | Confirm] = deque()
    answered_at = waited_s = max_s = 0.0
    while bench.machine.progress.chunks < len(chunks):
        effects = bench.effects()
        assert all(isinstance(effect, WriteChunk | WriteComplete | Confirm) for effect in effects), effects
        frames += [effect for effect in effects if isinstance(effect, WriteChunk | Confirm)]
        first = bench.machine.progress.chunks
        written = max((frame.chunk.index + 1 for frame in frames if isinstance(frame, WriteChunk)), default=first)
        if written - first > 1:  # a single chunk is always written
            max_s = max(max_s, sum(map(lasts_s, chunks[first:written])))
        assert frames, "nothing is on its way and nothing comes"
        frame = frames.popleft()
        if isinstance(frame, WriteChunk):
            bench.now += lasts_s(frame.chunk)
            if len(chunks) > frame.chunk.index + 4:
                bench.give(chunks[frame.chunk.index + 4])
            elif frame.chunk.index + 4 == len(chunks):
                bench.end(len(chunks))
        else:
            waited_s, answered_at = max(waited_s, bench.now - answered_at), bench.now
            bench.machine.confirmed(frame.chunks, frame.complete, bench.now)
    return waited_s, max_s


@pytest.mark.parametrize(
    ("fmt", "rate", "size"),
    [("wav", 22_050, 32_768), ("wav", 8_000, 32_768), ("pcm16", 48_000, 4_096), ("mulaw", 8_000, 32_768)],
)
def test_an_oraserver_that_takes_speech_as_it_is_played_is_heard_from_all_the_time(
    fmt: Format, rate: int, size: int
) -> None:
    bench = Bench(DeliveryRules()).connected()
    bench.machine.claimed(bench.now)
    bench.give(AudioStart(REQUEST, fmt, rate, 1, "e", "l"))
    lasts_s = size / rate / (1 if fmt == "mulaw" else 2)
    chunks = [AudioChunk(1, index, int(index * lasts_s * 1000), 0, bytes(size)) for index in range(40)]
    for chunk in chunks[:4]:
        bench.give(chunk)
    waited_s, unconfirmed_s = playing(bench, chunks, lambda _: lasts_s)
    assert waited_s <= 3.0 + lasts_s + 0.01
    assert unconfirmed_s <= 3.0 + lasts_s + 0.01


def test_the_next_chunk_tells_how_long_a_coded_one_lasts() -> None:
    """Its size does not: 32 KiB of Opus are eight seconds."""
    bench = Bench(DeliveryRules()).connected()
    bench.machine.claimed(bench.now)
    bench.give(AudioStart(REQUEST, "opus", 48_000, 1, "e", "l"))
    for index in range(3):
        bench.give(AudioChunk(1, index, index * 2500, 0, bytes(100)))
    effects = bench.effects()
    assert [e.chunk.index if isinstance(e, WriteChunk) else e for e in effects] == [
        0,
        Confirm(1, False),
        1,
        Confirm(2, False),
    ]
    bench.machine.confirmed(1, False, bench.now)
    assert indexes(bench.effects()) == [2]
