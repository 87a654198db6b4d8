"""Each rule of one utterance's delivery. `test_utterance_machine.py` combines them under random failures."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from orastream.base.backoff import Backoff
from orastream.contract.audio import Format
from orastream.contract.audio_messages import (
    AudioChunk,
    AudioEnd,
    AudioMessage,
    AudioStart,
    AudioWaiting,
    EndError,
    EndStatus,
)
from orastream.delivery.rules.utterance import FEED_BYTES, QUEUE_BYTES, SLOW_FEED_BYTES, SLOW_S, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    AskAudioRoom,
    Confirm,
    Connect,
    DeliveryRules,
    Effect,
    FallBack,
    Fence,
    Finished,
    Rewind,
    WriteChunk,
    WriteComplete,
)

pytestmark = pytest.mark.unit

REQUEST = 3
START = AudioStart(REQUEST, "wav", 8000, 1, "espeak", "ko-KR")
HTTP = DeliveryRules(confirm_every=None, max_unconfirmed_bytes=None)


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

    def stalled(self) -> list[Effect]:
        """The effects after the machine has asked about the stream, which is not full."""
        assert self.effects() == [AskAudioRoom()]
        self.machine.audio_room(False, self.now)
        return self.effects()

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


def test_a_delivery_without_faults_returns_these_effects() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 10)
    bench.end(10)
    effects = bench.effects()
    names = [type(e).__name__ for e in effects]
    assert names == ["WriteChunk"] * 8 + ["Confirm"] + ["WriteChunk"] * 2 + ["WriteComplete", "Confirm"]
    assert [e for e in effects if isinstance(e, Confirm)] == [Confirm(8, False), Confirm(10, True)]
    assert bench.machine.progress.version == 1, "the first chunk is worth a checkpoint"
    bench.now = 0.5
    bench.machine.confirmed(8, False, bench.now)
    assert (bench.machine.progress.chunks, bench.machine.progress.bytes) == (8, 80)
    assert bench.machine.progress.version == 2
    assert bench.effects() == []
    bench.machine.confirmed(10, True, bench.now)
    assert bench.effects() == [Finished("delivered")]
    assert bench.machine.progress.audio_seconds == round(100 / 16000, 3)
    assert bench.effects() == []


def test_before_the_claim_the_link_opens_and_nothing_is_written() -> None:
    bench = Bench().connected()
    bench.give(START)
    bench.chunks(0, 3)
    assert bench.effects() == []
    bench.machine.claimed(bench.now)
    assert indexes(bench.effects()) == [0, 1, 2]


def test_a_closed_gate_or_no_room_stops_writes() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.gate = False
    assert bench.effects() == []
    bench.gate, bench.room = True, False
    assert bench.effects() == []
    bench.room = True
    assert indexes(bench.effects()) == [0, 1, 2]


def test_without_room_a_confirmation_is_still_asked_for() -> None:
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()
    bench.chunks(0, 3)
    for _ in range(2):
        assert isinstance(bench.machine.poll(bench.now, may_write=True, room=True), WriteChunk)
    bench.room = False
    assert bench.effects() == [Confirm(2, False)]


def test_max_unconfirmed_bytes_limits_unconfirmed_audio() -> None:
    bench = Bench(DeliveryRules(confirm_every=100, max_unconfirmed_bytes=35)).start().connected()
    bench.chunks(0, 9)
    assert indexes(bench.effects()) == [0, 1, 2]
    bench.machine.confirmed(2, False, bench.now)
    assert indexes(bench.effects()) == [3, 4]
    bench.machine.confirmed(3, False, bench.now)
    assert indexes(bench.effects()) == [5]


def test_after_a_break_the_next_link_starts_with_the_slow_limits() -> None:
    """Also if no chunk is unconfirmed, so that the audio is not read again."""
    bench = Bench(DeliveryRules(confirm_every=1)).start().connected()
    bench.chunks(0, 1)
    assert bench.effects()[-1] == Confirm(1, False)
    bench.machine.confirmed(1, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    bench.now = 5.0
    bench.connected()
    bench.give(AudioChunk(1, 1, 10_000, 0, b"x"))
    bench.give(AudioChunk(1, 2, 13_000, 0, b"x"))
    assert indexes(bench.effects()) == [1]
    bench.machine.confirmed(2, False, bench.now)
    assert indexes(bench.effects()) == [2]


def test_a_single_chunk_larger_than_max_unconfirmed_bytes_is_written() -> None:
    bench = Bench(DeliveryRules(max_unconfirmed_bytes=5)).start().connected()
    bench.chunks(0, 2)
    assert bench.effects()[0:1] == [
        WriteChunk(AudioStart(3, "pcm16", 8000, 1, "e", "l"), AudioChunk(1, 0, 0, 0, bytes(10), offset=0))
    ]
    bench.machine.confirmed(1, False, bench.now)
    assert indexes(bench.effects()) == [1]


def test_audio_beyond_the_queue_limit_stays_in_the_stream() -> None:
    bench = Bench().start()
    size = 20_000
    for index in range(9):
        if not bench.machine.wants_audio:
            break
        bench.give(AudioChunk(1, index, 0, 0, bytes(size)))
    assert index == -(-QUEUE_BYTES // size)


def test_the_feed_may_buffer_little_while_audio_waits_to_be_written() -> None:
    """Also while there is no link: else each session keeps megabytes as long as OraServer is away."""
    bench = Bench(DeliveryRules(confirm_every=4)).start()
    bench.now = 10.0
    assert bench.machine.feed_bytes(10.0) == FEED_BYTES, "no audio waits"
    bench.chunks(0, 2)
    assert bench.machine.feed_bytes(10.0 + SLOW_S - 0.1) == FEED_BYTES
    assert bench.machine.feed_bytes(10.0 + SLOW_S) == SLOW_FEED_BYTES
    bench.now = 20.0
    bench.connected()
    assert indexes(bench.effects()) == [0, 1]
    assert bench.machine.feed_bytes(30.0) == SLOW_FEED_BYTES, "it may be in the buffers of a slow receiver"
    bench.machine.confirmed(2, False, 30.0)
    assert bench.machine.feed_bytes(30.0) == FEED_BYTES
    bench.machine.link_lost("gone", 30.0)
    assert bench.machine.feed_bytes(30.0) == SLOW_FEED_BYTES, "much audio would be read before it can be written"


def test_after_a_break_only_unconfirmed_chunks_are_repeated() -> None:
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


def test_a_break_without_unconfirmed_chunks_needs_no_rewind() -> None:
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()
    bench.chunks(0, 2)
    bench.effects()
    bench.machine.confirmed(2, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    bench.chunks(2, 4)
    bench.now = 5.0
    bench.connected()
    assert indexes(bench.effects()) == [2, 3]


def test_a_break_before_the_end_is_confirmed_repeats_complete() -> None:
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()

    def feed_all() -> None:
        bench.chunks(0, 2)
        bench.end(2)

    feed_all()
    assert bench.effects()[-1] == Confirm(2, True)
    bench.machine.confirmed(2, False, bench.now)
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.sequence = 0
    bench.start()
    feed_all()
    bench.now = 5.0
    bench.connected()
    effects = bench.effects()
    assert [type(e) for e in effects] == [WriteComplete, Confirm] and effects[1] == Confirm(2, True)


def test_a_rewind_empties_the_queue() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 1)
    assert indexes(bench.effects()) == [0]
    bench.room = False
    bench.chunks(1, 4, 100_000)
    assert not bench.machine.wants_audio
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    assert bench.machine.wants_audio
    bench.sequence, bench.room, bench.now = 0, True, 5.0
    bench.start()
    bench.chunks(0, 1)
    bench.chunks(1, 2, 100_000)
    bench.connected()
    assert indexes(bench.effects()) == [0, 1]


def test_reconnects_count_lost_links_and_not_failed_connects() -> None:
    bench = Bench().start()
    assert bench.effects() == [Connect()]
    bench.machine.link_lost("refused", bench.now)
    assert (bench.machine.progress.reconnects, bench.machine.progress.version) == (0, 0)
    bench.now = 3.0
    bench.connected()
    bench.machine.link_lost("gone", bench.now)
    assert (bench.machine.progress.reconnects, bench.machine.progress.version) == (1, 1)


def test_connect_retries_wait_longer_each_time_and_then_fail() -> None:
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


def test_a_confirmed_chunk_resets_the_failure_count_and_a_connect_does_not() -> None:
    bench = Bench(DeliveryRules(confirm_every=1)).start()
    bench.chunks(0, 1)

    def feed_again() -> None:
        bench.sequence = 0
        bench.start()
        bench.chunks(0, 1)
        bench.now += 3

    for _ in range(3):
        bench.connected()
        bench.effects()
        bench.machine.link_lost("gone", bench.now)
        assert bench.effects() == [Rewind()]
        feed_again()
    bench.connected()
    bench.effects()
    bench.machine.confirmed(1, False, bench.now)
    for _ in range(3):  # the failure count was reset
        bench.machine.link_lost("gone", bench.now)
        assert bench.machine.finished is None
        bench.now += 3
        bench.connected()
        bench.machine.confirmed(1, False, bench.now)  # no newly confirmed chunk
    bench.machine.link_lost("gone", bench.now)
    assert bench.machine.finished is not None


def test_a_link_reported_lost_twice_counts_once() -> None:
    bench = Bench().start().connected()
    for _ in range(9):
        bench.machine.link_lost("gone", bench.now)
    assert bench.machine.finished is None and bench.machine.progress.reconnects == 1


@pytest.mark.parametrize("when", ["connecting", "up"])
def test_a_refusal_fails_the_delivery_at_once(when: str) -> None:
    bench = Bench().start()
    assert bench.effects() == [Connect()]
    if when == "up":
        bench.machine.link_up()
    bench.machine.link_lost("403", bench.now, refused=True)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None
    assert (finished.error.code, finished.error.retryable) == ("oraserver_refused", False)


@pytest.mark.parametrize("refused", [True, False])
def test_an_utterance_of_which_nothing_was_written_falls_back_once(refused: bool) -> None:
    bench = Bench(DeliveryRules(max_retries=0, falls_back=True)).start()
    bench.chunks(0, 1)
    assert bench.effects() == [Connect()]
    bench.machine.link_lost("refused", bench.now, refused=refused)
    assert bench.effects() == [FallBack()]
    bench.machine.cancel()
    assert bench.effects() == []


def test_an_utterance_of_which_a_part_was_written_does_not_fall_back() -> None:
    """Also if the receiver has confirmed nothing, or an earlier owner has written it."""
    for fields in ({}, {"delivered": 1}):
        bench = Bench(DeliveryRules(max_retries=0, falls_back=True), **fields).start()
        bench.chunks(0, 1)
        assert bench.effects() == [Connect()]
        if not fields:
            bench.machine.link_up()
            assert any(isinstance(effect, WriteChunk) for effect in bench.effects())
        bench.machine.link_lost("gone", bench.now)
        [finished] = bench.effects()
        assert isinstance(finished, Finished) and finished.error is not None
        assert finished.error.code == "oraserver_unreachable"


def test_a_stall_does_not_fall_back() -> None:
    bench = Bench(DeliveryRules(stall_s=5.0, falls_back=True)).start()
    bench.effects()
    bench.machine.link_up()
    bench.now = 6.0
    [finished] = bench.stalled()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "synth_stalled"


def test_http_confirms_only_the_whole_utterance_and_repeats_all_of_it() -> None:
    bench = Bench(HTTP).start().connected()
    bench.chunks(0, 40, 10_000)
    assert len(indexes(bench.effects())) == 40
    assert bench.machine.progress.version == 0, "before the POST there is nothing for a checkpoint"
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


def test_a_new_owner_stores_its_fence_first_and_resumes_from_the_checkpoint() -> None:
    bench = Bench(delivered=2, must_fence=True).start().connected()
    bench.chunks(0, 4)
    assert bench.effects() == [Fence()]
    bench.machine.fenced()
    assert indexes(bench.effects()) == [2, 3]
    assert bench.machine.progress.bytes == 20, "audio confirmed to the earlier owner is counted"
    assert bench.machine.progress.retransmitted == 0


def test_a_new_owner_with_all_chunks_confirmed_only_writes_complete() -> None:
    bench = Bench(delivered=2).start().connected()
    bench.chunks(0, 2)
    bench.end(2)
    effects = bench.effects()
    assert [type(e) for e in effects] == [WriteComplete, Confirm] and effects[1] == Confirm(2, True)


def test_after_a_cancel_nothing_is_written() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.machine.cancel()
    assert bench.effects() == [Finished("cancelled")]
    bench.chunks(3, 6)
    bench.end(6)
    bench.machine.link_up()
    assert bench.effects() == []
    assert bench.machine.finished == Finished("cancelled") and bench.machine.progress.chunks == 0


def test_an_answer_after_finished_changes_nothing() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.machine.cancel()
    assert bench.effects() == [Finished("cancelled")]
    bench.machine.confirmed(6, True, bench.now)
    assert (bench.machine.progress.chunks, bench.machine.progress.version) == (0, 0)


def test_a_cancelled_end_drops_queued_chunks() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.end(3, "cancelled")
    assert bench.effects() == [Finished("cancelled")]


def test_a_failed_synthesis_delivers_its_chunks_without_complete() -> None:
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


def test_a_break_after_a_failed_synthesis_repeats_unconfirmed_chunks() -> None:
    """The request is final only after they are confirmed, or if no link can be opened."""
    bench = Bench().start().connected()

    def store_failed_synthesis() -> None:
        bench.chunks(0, 3)
        bench.end(3, "failed", "no such voice")

    store_failed_synthesis()
    bench.effects()
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.sequence = 0
    bench.give(AudioStart(REQUEST, "pcm16", 8000, 1, "e", "l"))
    store_failed_synthesis()
    bench.now = 5.0
    assert bench.effects() == [Connect()]
    bench.machine.link_up()
    effects = bench.effects()
    assert indexes(effects) == [0, 1, 2] and effects[-1] == Confirm(3, False)
    bench.machine.confirmed(3, False, bench.now)
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "engine_error"
    assert bench.machine.progress.chunks == 3


def test_over_http_a_failed_synthesis_ends_without_an_answer() -> None:
    bench = Bench(HTTP).start().connected()
    bench.chunks(0, 3)
    bench.end(3, "failed", "no such voice")
    assert isinstance(bench.effects()[-1], Finished)


def test_complete_contains_the_whole_text_if_it_came_in_pieces() -> None:
    bench = Bench().start().connected()
    bench.give(AudioChunk(1, 0, 0, 0, b"12", "One."))
    bench.give(AudioEnd(1, "complete", 1, 2, 0.1, text="One. Two."))
    write, complete, _ = bench.effects()
    assert isinstance(write, WriteChunk) and write.chunk.text == "One."
    assert isinstance(complete, WriteComplete) and complete.end.text == "One. Two."


def test_waiting_messages_restart_the_stall_timer() -> None:
    bench = Bench().start().connected()
    for _ in range(20):
        bench.now += 15.0
        bench.give(AudioWaiting(1))
        assert bench.effects() == []
    bench.now += 20.0
    [finished] = bench.stalled()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "synth_stalled"


def test_the_stall_timer_starts_at_the_claim() -> None:
    bench = Bench().connected()
    bench.now = 1000.0
    assert bench.effects() == [] and bench.machine.next_time() is None
    bench.machine.claimed(bench.now)
    assert bench.machine.next_time() == 1015.0, "75 % of the stall time: it asks whether the stream of audio is full"
    bench.machine.claimed(1010.0)
    assert bench.machine.next_time() == 1015.0, "a repeated claim changes nothing"
    bench.now = 1019.9
    bench.give(START)
    bench.now = 1039.8
    assert bench.effects() == [AskAudioRoom()]
    bench.machine.audio_room(False, bench.now)
    assert bench.effects() == [] and bench.machine.next_time() == pytest.approx(1039.9)
    bench.now = 1039.9
    [finished] = bench.effects()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == "synth_stalled"


def test_the_stall_timer_is_restarted_while_nats_does_not_answer() -> None:
    bench = Bench().start().connected()
    bench.now = 100.0
    bench.machine.restart_stall_timer(bench.now)
    assert bench.effects() == []


def test_a_queue_that_empties_late_does_not_prevent_the_look_at_the_stream() -> None:
    """A slow receiver: the last queued chunk is written 20 s after the last audio came. Perhaps the stream is full."""
    bench = Bench().start().connected()
    bench.room = False
    bench.chunks(0, 1)
    assert bench.effects() == []
    bench.room, bench.now = True, 20.0
    effects = bench.effects()
    assert indexes(effects) == [0] and effects[-1] == AskAudioRoom()


def test_a_loop_that_is_late_looks_at_the_stream_before_it_gives_up() -> None:
    bench = Bench().start().connected()
    bench.now = 15.0
    assert bench.effects() == [AskAudioRoom()]
    bench.machine.audio_room(True, bench.now)
    bench.now = 35.0
    assert bench.effects() == [AskAudioRoom()]


def test_a_rewind_restarts_the_stall_timer() -> None:
    bench = Bench().start().connected()
    bench.chunks(0, 3)
    bench.end(3)
    assert len(bench.effects()) == 5
    bench.now = 100.0
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]
    bench.now = 105.0
    assert bench.effects() == [Connect()], "the audio is being read again"


def test_a_link_lost_when_the_stall_time_ends_leads_to_a_rewind_and_no_stall() -> None:
    """While the rewind is pending no audio is taken, so the next chunk may be in the feed already."""
    bench = Bench().start().connected()
    bench.chunks(0, 1)
    assert indexes(bench.effects()) == [0]
    bench.now = 20.0
    bench.machine.link_lost("gone", bench.now)
    assert bench.effects() == [Rewind()]


def test_a_full_queue_restarts_the_stall_timer() -> None:
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
def test_missing_audio_is_reported_as_expired_or_stalled(asked_at: float | None, code: str) -> None:
    bench = Bench(asked_at=asked_at).connected()
    bench.machine.claimed(bench.now)
    bench.chunks(3, 6)  # chunks 0 to 2 are not stored any more
    bench.now = 20.0
    [finished] = bench.stalled()
    assert isinstance(finished, Finished) and finished.error is not None and finished.error.code == code


def test_audio_of_another_request_with_the_same_id_is_not_written() -> None:
    bench = Bench().connected()
    bench.machine.claimed(bench.now)
    bench.give(AudioStart(REQUEST + 1, "wav", 8000, 1, "e", "l"))
    bench.chunks(0, 3)
    bench.end(3)
    assert bench.effects() == []


def test_an_answer_after_the_break_is_ignored() -> None:
    """The chunks that it confirms are written again."""
    bench = Bench(DeliveryRules(confirm_every=2)).start().connected()
    bench.chunks(0, 2)
    assert bench.effects()[-1] == Confirm(2, False)
    bench.machine.link_lost("gone", bench.now)
    bench.machine.confirmed(2, True, bench.now)
    assert bench.machine.progress.chunks == 0 and bench.machine.finished is None


def test_a_confirmed_chunk_resets_the_retry_wait() -> None:
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


def deliver_at_playback_speed(
    bench: Bench, chunks: list[AudioChunk], lasts_s: Callable[[AudioChunk], float]
) -> tuple[float, float]:
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
        assert frames, "no frame is unread and none is written"
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
    [
        ("wav", 22_050, 32_768),
        ("wav", 8_000, 32_768),
        ("pcm16", 48_000, 4_096),
        ("mulaw", 8_000, 32_768),
        ("alaw", 8_000, 32_768),
    ],
)
def test_a_receiver_at_playback_speed_answers_within_max_unconfirmed_s(fmt: Format, rate: int, size: int) -> None:
    bench = Bench(DeliveryRules()).connected()
    bench.machine.claimed(bench.now)
    bench.give(AudioStart(REQUEST, fmt, rate, 1, "e", "l"))
    lasts_s = size / rate / (1 if fmt in ("mulaw", "alaw") else 2)
    chunks = [AudioChunk(1, index, int(index * lasts_s * 1000), 0, bytes(size)) for index in range(40)]
    for chunk in chunks[:4]:
        bench.give(chunk)
    waited_s, unconfirmed_s = deliver_at_playback_speed(bench, chunks, lambda _: lasts_s)
    assert waited_s <= 3.0 + lasts_s + 0.01
    assert unconfirmed_s <= 3.0 + lasts_s + 0.01


def test_the_duration_of_a_coded_chunk_comes_from_the_next_chunk() -> None:
    """Its size does not show it: 32 KiB of Opus are eight seconds."""
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
