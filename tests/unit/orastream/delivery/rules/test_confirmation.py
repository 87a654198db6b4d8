"""When a receiver is asked to confirm: often while it reads speech at playback speed, less often while it is fast."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.delivery.rules.confirmation import Confirmation
from orastream.delivery.rules.utterance_effects import DeliveryRules
from services.ws_bridge.liveness import PONG_S

pytestmark = pytest.mark.unit

RULES = DeliveryRules()
LONGEST_S = 32_768 / 8_000
"""Seconds in a chunk of the largest default size, in the uncompressed format with the lowest byte rate: µ-law."""


class Receiver:
    """Reads frames in order: at once up to chunk `plays_from`, then at playback speed. It advances the test's clock."""

    def __init__(self, lasts_s: float, size: int, plays_from: int) -> None:
        self.confirmation = Confirmation(RULES, 0)
        self.now = 0.0
        self.questions = 0
        self.longest_wait_s = 0.0
        """The longest time in seconds without an answer while an ask was unanswered."""
        self._lasts_s, self._size, self._plays_from = lasts_s, size, plays_from
        self._wire: deque[AudioChunk | tuple[int, float]] = deque()
        self._heard_at = 0.0

    def _write(self, chunk: AudioChunk) -> bool:
        """Ask or write the chunk, as the machine does. Return whether the chunk was written."""
        held = self.confirmation.holds(chunk)
        if self.confirmation.due or (held and self.confirmation.asked < self.confirmation.written):
            self.questions += 1
            self._wire.append((self.confirmation.ask(self.now), self.now))
            return False
        if not held:
            self.confirmation.wrote(chunk)
            self._wire.append(chunk)
        return not held

    def _take(self) -> None:
        frame = self._wire.popleft()
        if isinstance(frame, AudioChunk):
            self.now += self._lasts_s if frame.index >= self._plays_from else 0.0
            return
        chunks, asked_at = frame
        self.longest_wait_s = max(self.longest_wait_s, self.now - max(self._heard_at, asked_at))
        self._heard_at = self.now
        self.confirmation.answered(chunks, self.now)

    def hear(self, count: int) -> None:
        """Write all chunks of a stored utterance as fast as the rules allow."""
        for index in range(count):
            chunk = AudioChunk(1, index, int(index * self._lasts_s * 1000), 0, bytes(self._size))
            while not self._write(chunk):
                if not self.confirmation.due and self.confirmation.holds(chunk):
                    assert self._wire, "nothing is on its way and nothing comes"
                    self._take()
            while index < self._plays_from and self._wire:
                self._take()
        while self._wire:
            self._take()


@given(lasts_s=st.floats(0.02, LONGEST_S), size=st.sampled_from((100, 4_096, 32_768)), plays_from=st.integers(0, 60))
@example(lasts_s=3.99, size=32_768, plays_from=20)
@example(lasts_s=LONGEST_S, size=32_768, plays_from=20)
def test_one_that_begins_to_take_speech_as_it_is_played_answers_in_time(
    lasts_s: float, size: int, plays_from: int
) -> None:
    receiver = Receiver(lasts_s, size, plays_from)
    receiver.hear(60)
    assert receiver.longest_wait_s <= RULES.quick_most_unconfirmed_s + lasts_s + 0.01
    assert receiver.longest_wait_s < PONG_S


def test_a_quick_one_is_asked_less_often_than_one_that_plays() -> None:
    """Chunks are 32 KiB at 24 kHz: 0.68 s each."""
    quick, playing = Receiver(32_768 / 48_000, 32_768, 480), Receiver(32_768 / 48_000, 32_768, 0)
    quick.hear(480)
    playing.hear(480)
    assert quick.questions <= 480 / 5
    assert playing.questions >= 480 / 4


def test_a_late_answer_ends_it_at_once_and_an_early_one_begins_it_again() -> None:
    confirmation = Confirmation(RULES, 0)

    def holds_at(seconds: float) -> bool:
        return confirmation.holds(AudioChunk(1, confirmation.written, int(seconds * 1000), 0, b"x"))

    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    assert not holds_at(1.9)
    assert holds_at(2.0)
    for answer_s, free_s in ((0.2, 3.9), (0.3, 1.9), (0.0, 3.9)):
        begins_ms = confirmation.written * 10_000
        confirmation.wrote(AudioChunk(1, confirmation.written, begins_ms, 0, b"x"))
        assert confirmation.ask(100.0) == confirmation.written
        confirmation.answered(confirmation.written, 100.0 + answer_s)
        begins_ms += 10_000
        confirmation.wrote(AudioChunk(1, confirmation.written, begins_ms, 0, b"x"))
        assert not holds_at(begins_ms / 1000 + free_s)
        assert holds_at(begins_ms / 1000 + free_s + 0.2)


def test_another_link_is_not_known_to_be_quick() -> None:
    confirmation = Confirmation(RULES, 0)
    confirmation.wrote(AudioChunk(1, 0, 0, 0, b"x"))
    confirmation.ask(0.0)
    confirmation.answered(1, 0.0)
    confirmation.start_over(1)
    confirmation.wrote(AudioChunk(1, 1, 0, 0, b"x"))
    assert confirmation.holds(AudioChunk(1, 2, 2_000, 0, b"x"))


def test_an_answer_gives_what_it_covers_and_only_that() -> None:
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
