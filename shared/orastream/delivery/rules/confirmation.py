"""Counts the unconfirmed chunks of a link and decides when to ask the receiver to confirm. Pure; monotonic seconds.

A receiver may read speech only as fast as it is played. It reaches a ping only after the speech before it, so the
rules limit seconds of speech as well as chunks and bytes. Speech is counted from the start of the first unconfirmed
chunk to the start of the next chunk. The limits depend on the last answer (fields of `DeliveryRules`):

    last answer                         ask after                at most unconfirmed
    none on this link, or a later one   `confirm_every_s`        `max_unconfirmed_s`
    within `quick_answer_s` seconds     `quick_confirm_every_s`  `quick_max_unconfirmed_s`
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk
from orastream.delivery.rules.utterance_effects import DeliveryRules


class WrittenChunk(NamedTuple):
    """A written, unconfirmed chunk: `size` in bytes, `begins_s` in seconds from the start of the utterance."""

    chunk_index: int
    size: int
    begins_s: float


class Confirmation:
    """The unconfirmed chunks of one link, in order. `start_over` resets it for the next link."""

    def __init__(self, rules: DeliveryRules, delivered: int) -> None:
        """`delivered` is the number of chunks that an earlier owner had confirmed."""
        self._every = rules.confirm_every
        self._max_bytes = rules.max_unconfirmed_bytes
        self._slow = (rules.confirm_every_s, rules.max_unconfirmed_s)
        self._quick = (rules.quick_confirm_every_s, rules.quick_max_unconfirmed_s)
        self._quick_answer_s = rules.quick_answer_s
        self.start_over(delivered)

    @property
    def quick(self) -> bool:
        """Whether the receiver has given its last answer over the present link quickly."""
        return (self._every_s, self._max_s) == self._quick

    def start_over(self, confirmed: int, *, quick: bool = False) -> None:
        """Start with a link after `confirmed` chunks: no chunk is unconfirmed. `quick`: the last answer over it was."""
        self.written = self.asked = confirmed
        """Number of chunks written, and number of chunks that the receiver was asked to confirm."""
        self._unconfirmed: deque[WrittenChunk] = deque()
        self._bytes = 0
        self._questions: deque[tuple[int, float]] = deque()
        """Unanswered asks: number of chunks asked for, and the time."""
        self._every_s, self._max_s = self._quick if quick else self._slow

    def __bool__(self) -> bool:
        """Whether a chunk is unconfirmed."""
        return bool(self._unconfirmed)

    @property
    def due(self) -> bool:
        """Whether `confirm_every` chunks or more were written since the last ask."""
        return self._every is not None and self.written - self.asked >= self._every

    def holds(self, chunk: AudioChunk) -> bool:
        """Whether this chunk must not be written yet: first ask for the unconfirmed chunks, or wait for an answer."""
        unconfirmed = self._unconfirmed
        if self._max_bytes is None or not unconfirmed:
            return False
        since_s = round(chunk.pts_ms / 1000 - unconfirmed[0].begins_s, 3)  # 8.2 - 3.2 is less than 5
        if self._bytes + len(chunk.audio) > self._max_bytes or since_s >= self._max_s:
            return True
        return since_s >= self._every_s and not self._questions

    def wrote(self, chunk: AudioChunk) -> None:
        """Record that the chunk was written."""
        size = len(chunk.audio)
        self._unconfirmed.append(WrittenChunk(chunk.index, size, chunk.pts_ms / 1000))
        self._bytes += size
        self.written = chunk.index + 1

    def ask(self, now: float) -> int:
        """Record an ask for all chunks written so far, at `now`. Return their number."""
        self.asked = self.written
        self._questions.append((self.written, now))
        return self.written

    def answered(self, chunks: int, now: float) -> list[WrittenChunk]:
        """Record an answer for the first `chunks` chunks. Return those of them that were unconfirmed until now."""
        asked_at = None
        while self._questions and self._questions[0][0] <= chunks:
            _, asked_at = self._questions.popleft()
        if asked_at is not None:
            quick = now - asked_at <= self._quick_answer_s
            self._every_s, self._max_s = self._quick if quick else self._slow
        done = []
        while self._unconfirmed and self._unconfirmed[0].chunk_index < chunks:
            done.append(self._unconfirmed.popleft())
            self._bytes -= done[-1].size
        return done
