"""When a receiver is asked to confirm: often while it reads at playback speed, less often while it is quick."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.delivery.rules.confirmation import Confirmation
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.websocket.liveness import PONG_S

pytestmark = pytest.mark.unit

RULES = DeliveryRules()
LONGEST_S = 32_768 / 8_000
"""Seconds in a chunk of the largest default size, in the uncompressed format with the lowest byte rate: µ-law."""


class Receiver:
    """Reads frames in order: at once up to chunk `plays_from`, then at playback speed. It advances the test's clock."""

    def __init__(self, lasts_s: float, size: int, plays_from: int) -> None:
        self.confirmation = Confirmation(RULES, 0)
        self.now = 0.0
        self.asks = 0
        """Number of asks so far."""
        self.longest_wait_s = 0.0
        """The longest time in seconds without an answer while an ask was unanswered."""
        self._lasts_s, self._size, self._plays_from = lasts_s, size, plays_from
        self._unread: deque[AudioChunk | tuple[int, float]] = deque()
        """Frames that the receiver has not read: chunks, and asks with their number of chunks and time."""
        self._answered_at = 0.0

    def _write(self, chunk: AudioChunk) -> bool:
        """Ask or write the chunk, as the machine does. Return whether the chunk was written."""
        held = self.confirmation.holds(chunk)
        if self.confirmation.due or (held and self.confirmation.asked < self.confirmation.written):
            self.asks += 1
            self._unread.append((self.confirmation.ask(self.now), self.now))
            return False
        if not held:
            self.confirmation.wrote(chunk)
            self._unread.append(chunk)
        return not held

    def _read(self) -> None:
        frame = self._unread.popleft()
        if isinstance(frame, AudioChunk):
            self.now += self._lasts_s if frame.index >= self._plays_from else 0.0
            return
        chunks, asked_at = frame
        self.longest_wait_s = max(self.longest_wait_s, self.now - max(self._answered_at, asked_at))
        self._answered_at = self.now
        self.confirmation.answered(chunks, self.now)

    def write_all(self, count: int) -> None:
        """Write `count` stored chunks as fast as the rules allow, and read all of them."""
        for index in range(count):
            chunk = AudioChunk(1, index, int(index * self._lasts_s * 1000), 0, bytes(self._size))
            while not self._write(chunk):
                if not self.confirmation.due and self.confirmation.holds(chunk):
                    assert self._unread, "no frame is unread and none is written"
                    self._read()
            while index < self._plays_from and self._unread:
                self._read()
        while self._unread:
            self._read()


@given(lasts_s=st.floats(0.02, LONGEST_S), size=st.sampled_from((100, 4_096, 32_768)), plays_from=st.integers(0, 60))
@example(lasts_s=3.99, size=32_768, plays_from=20)
@example(lasts_s=LONGEST_S, size=32_768, plays_from=20)
def test_a_receiver_that_slows_to_playback_speed_answers_before_its_ping_times_out(
    lasts_s: float, size: int, plays_from: int
) -> None:
    receiver = Receiver(lasts_s, size, plays_from)
    receiver.write_all(60)
    assert receiver.longest_wait_s <= RULES.quick_max_unconfirmed_s + lasts_s + 0.01
    assert receiver.longest_wait_s < PONG_S


def test_a_quick_receiver_is_asked_less_often_than_one_at_playback_speed() -> None:
    """Chunks are 32 KiB at 24 kHz: 0.68 s each."""
    quick, playing = Receiver(32_768 / 48_000, 32_768, 480), Receiver(32_768 / 48_000, 32_768, 0)
    quick.write_all(480)
    playing.write_all(480)
    assert quick.asks <= 480 / 5
    assert playing.asks >= 480 / 4


def test_each_answer_selects_the_quick_or_the_slow_limits() -> None:
    confirmation = Confirmation(RULES, 0)

    def holds_at(seconds: float) -> bool:
        return confirmation.holds(AudioChunk(1, confirmation.written, int(seconds * 1000), 0, b"x"))

    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    assert not holds_at(1.9)
    assert holds_at(2.0)
    for answer_s, free_s in ((0.25, 3.9), (0.3, 1.9), (0.0, 3.9)):
        begins_ms = confirmation.written * 10_000
        confirmation.wrote(AudioChunk(1, confirmation.written, begins_ms, 0, b"x"))
        assert confirmation.ask(100.0) == confirmation.written
        confirmation.answered(confirmation.written, 100.0 + answer_s)
        begins_ms += 10_000
        confirmation.wrote(AudioChunk(1, confirmation.written, begins_ms, 0, b"x"))
        assert not holds_at(begins_ms / 1000 + free_s)
        assert holds_at(begins_ms / 1000 + free_s + 0.2)


def test_exactly_the_limit_of_seconds_is_held_in_spite_of_rounding() -> None:
    """8.2 - 3.2 is less than 5 in floating point."""
    confirmation = Confirmation(DeliveryRules(max_unconfirmed_s=5.0, confirm_every_s=5.0), 0)
    confirmation.wrote(AudioChunk(1, 0, 3_200, 0, b"a"))
    confirmation.ask(0.0)
    assert confirmation.holds(AudioChunk(1, 1, 8_200, 0, b"a"))
    assert not confirmation.holds(AudioChunk(1, 1, 8_199, 0, b"a"))


def test_a_new_link_starts_with_the_slow_limits() -> None:
    confirmation = Confirmation(RULES, 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    confirmation.ask(0.0)
    confirmation.answered(1, 0.0)
    confirmation.start_over(1)
    confirmation.wrote(AudioChunk(1, 1, 0, 0, b"x"))
    assert confirmation.holds(AudioChunk(1, 2, 2_000, 0, b"x"))


def test_a_new_link_has_no_unconfirmed_bytes_and_no_open_asks() -> None:
    confirmation = Confirmation(DeliveryRules(max_unconfirmed_bytes=10), 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, bytes(8)))
    confirmation.ask(0.0)
    confirmation.start_over(0)
    assert not confirmation and (confirmation.written, confirmation.asked) == (0, 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, bytes(8)))
    assert not confirmation.holds(AudioChunk(1, 1, 1_999, 0, bytes(2)))
    assert confirmation.holds(AudioChunk(1, 1, 2_000, 0, bytes(2))), "the ask on the old link gets no answer"


def test_an_answer_returns_the_chunks_that_it_confirms() -> None:
    confirmation = Confirmation(RULES, 0)
    for index in range(3):
        confirmation.wrote(AudioChunk(1, index, index * 100, 0, bytes(index + 1)))
    assert [(done.chunk_index, done.size, done.begins_s) for done in confirmation.answered(2, 0.0)] == [
        (0, 1, 0.0),
        (1, 2, 0.1),
    ]
    assert confirmation.answered(2, 0.0) == []
    assert confirmation
    assert [done.chunk_index for done in confirmation.answered(3, 0.0)] == [2]
    assert not confirmation


def test_confirm_every_counts_chunks_since_the_last_ask() -> None:
    confirmation = Confirmation(DeliveryRules(confirm_every=3), 5)
    for index in (5, 6):
        confirmation.wrote(AudioChunk(1, index, 0, 0, b"x"))
        assert not confirmation.due
    confirmation.wrote(AudioChunk(1, 7, 0, 0, b"x"))
    assert confirmation.due and confirmation.ask(0.0) == 8
    assert not confirmation.due, "asked for already"


def test_without_confirm_every_and_limits_nothing_is_asked_or_held() -> None:
    """HTTP confirms only the whole utterance."""
    confirmation = Confirmation(DeliveryRules(confirm_every=None, max_unconfirmed_bytes=None), 0)
    for index in range(100):
        chunk = AudioChunk(1, index, index * 10_000, 0, bytes(100_000))
        assert not confirmation.holds(chunk) and not confirmation.due
        confirmation.wrote(chunk)


def test_an_answer_makes_room_for_as_many_bytes_as_it_confirms() -> None:
    confirmation = Confirmation(DeliveryRules(max_unconfirmed_bytes=10), 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, bytes(4)))
    confirmation.wrote(AudioChunk(1, 1, 0, 0, bytes(5)))
    assert not confirmation.holds(AudioChunk(1, 2, 0, 0, bytes(1)))
    assert confirmation.holds(AudioChunk(1, 2, 0, 0, bytes(2)))
    confirmation.answered(1, 0.0)
    assert not confirmation.holds(AudioChunk(1, 2, 0, 0, bytes(5)))
    assert confirmation.holds(AudioChunk(1, 2, 0, 0, bytes(6)))
    confirmation.answered(2, 0.0)
    assert not confirmation.holds(AudioChunk(1, 2, 0, 0, bytes(99))), "a single chunk is always written"


def test_while_an_ask_is_unanswered_only_the_upper_limits_hold_a_chunk() -> None:
    confirmation = Confirmation(DeliveryRules(confirm_every_s=2.0, max_unconfirmed_s=3.0), 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    assert confirmation.holds(AudioChunk(1, 1, 2_000, 0, b"x"))
    confirmation.ask(0.0)
    assert not confirmation.holds(AudioChunk(1, 1, 2_999, 0, b"x"))
    assert confirmation.holds(AudioChunk(1, 1, 3_000, 0, b"x"))


def test_an_answer_without_an_ask_does_not_change_the_limits() -> None:
    confirmation = Confirmation(RULES, 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    confirmation.wrote(AudioChunk(1, 1, 0, 0, b"x"))
    confirmation.answered(1, 0.0)
    assert confirmation.holds(AudioChunk(1, 2, 2_000, 0, b"x"))
