"""What was written and is not confirmed, and when the receiver is to be asked for it. Pure; monotonic seconds.

A receiver may take speech as fast as it is played. So beside chunks and bytes the *seconds of speech* are bounded that
lie before a question, counted to where the next chunk begins: an answer that waits behind little speech comes soon.
One whose last answer came at once keeps up with more than that, and is asked less often (`DeliveryRules.quick_…`).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk
from orastream.delivery.rules.utterance_effects import DeliveryRules


class WrittenChunk(NamedTuple):
    """A chunk that is on its way."""

    chunk_index: int
    size: int
    begins_s: float


class Confirmation:
    """The written chunks of one connection's time, in order. Begins anew with `start_over`."""

    def __init__(self, rules: DeliveryRules, delivered: int) -> None:
        """`delivered` chunks were confirmed before."""
        self._every = rules.confirm_every
        self._max_bytes = rules.max_unconfirmed_bytes
        self._slow = (rules.confirm_every_s, rules.max_unconfirmed_s)
        self._quick = (rules.quick_confirm_every_s, rules.quick_most_unconfirmed_s)
        self._quick_answer_s = rules.quick_answer_s
        self.start_over(delivered)

    def start_over(self, confirmed: int) -> None:
        """The link is another one: nothing is on its way, and how quick it is is not known."""
        self.written = self.asked = confirmed
        """Chunks written, and of these those that were asked for."""
        self._on_its_way: deque[WrittenChunk] = deque()
        self._bytes = 0
        self._questions: deque[tuple[int, float]] = deque()
        """Not answered yet: chunks asked for, and when."""
        self._every_s, self._max_s = self._slow

    def __bool__(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._on_its_way)

    @property
    def due(self) -> bool:
        """Whether so many chunks were written that they are to be asked for, whatever comes next."""
        return self._every is not None and self.written - self.asked >= self._every

    def holds(self, chunk: AudioChunk) -> bool:
        """Whether the chunk must wait: to be written once what is on its way was asked for, or confirmed."""
        on_its_way = self._on_its_way
        if self._max_bytes is None or not on_its_way:
            return False
        since_s = chunk.pts_ms / 1000 - on_its_way[0].begins_s
        if self._bytes + len(chunk.audio) > self._max_bytes or since_s >= self._max_s:
            return True
        return since_s >= self._every_s and not self._questions

    def wrote(self, chunk: AudioChunk) -> None:
        """The chunk is on its way."""
        size = len(chunk.audio)
        self._on_its_way.append(WrittenChunk(chunk.index, size, chunk.pts_ms / 1000))
        self._bytes += size
        self.written = chunk.index + 1

    def ask(self, now: float) -> int:
        """The receiver is asked for all that was written; gives how many chunks that are."""
        self.asked = self.written
        self._questions.append((self.written, now))
        return self.written

    def answered(self, chunks: int, now: float) -> list[WrittenChunk]:
        """The receiver has answered for the first `chunks` chunks: those of them that were on their way."""
        asked_at = None
        while self._questions and self._questions[0][0] <= chunks:
            _, asked_at = self._questions.popleft()
        if asked_at is not None:
            quick = now - asked_at <= self._quick_answer_s
            self._every_s, self._max_s = self._quick if quick else self._slow
        done = []
        while self._on_its_way and self._on_its_way[0].chunk_index < chunks:
            done.append(self._on_its_way.popleft())
            self._bytes -= done[-1].size
        return done
