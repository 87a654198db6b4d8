"""Whose turn it is to send, among the streams of a connection. Pure; monotonic seconds.

Deficit round robin (Shreedhar and Varghese, 1995): each stream sends up to QUANTUM bytes in its turn. What it sends
beyond that it waits for, in its next turns.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque

from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.out_stream import OutStream

QUANTUM = 16 << 10


class StreamTurns:
    """The streams that have something to send, and those that wait until their listener has played some audio."""

    def __init__(self) -> None:
        self._ready: deque[OutStream] = deque()
        """In the order of their turns; some may have become idle."""
        self._paused: list[tuple[float, int, OutStream]] = []
        """A heap, by the time when to look again. An entry counts if its time is the stream's `wakes_at`."""
        self._asleep: dict[Listener, set[OutStream]] = {}
        """The streams with a `wakes_at`, by their listener."""
        self._order = itertools.count()

    @property
    def competing(self) -> bool:
        """Whether more than one stream has something to send."""
        return len(self._ready) > 1

    @property
    def next_time(self) -> float | None:
        """When a stream that waits may send again. Those that are over wait for nothing."""
        while self._paused and self._paused[0][2].over:
            at, _, stream = heapq.heappop(self._paused)
            if at == stream.wakes_at:
                self._awake(stream)
        return self._paused[0][0] if self._paused else None

    def has_more(self, stream: OutStream, now: float) -> None:
        """Give the stream its place in the order of turns, if it has something to send and has none."""
        if stream.queued:
            return
        if stream.sendable(now):
            stream.queued, stream.deficit = True, QUANTUM
            self._ready.append(stream)
        else:
            self._pause(stream, now)

    def _pause(self, stream: OutStream, now: float) -> None:
        """The stream has nothing to send now: look at it again if it only waits for its listener."""
        at = stream.resumes_at(now)
        if at is not None and (stream.wakes_at is None or at < stream.wakes_at):
            stream.wakes_at = at
            self._asleep.setdefault(stream.listener, set()).add(stream)
            heapq.heappush(self._paused, (at, next(self._order), stream))

    def listener_changed(self, listener: Listener, now: float) -> None:
        """Look again at the streams that wait for this listener: it has less audio than it seemed."""
        for stream in list(self._asleep.get(listener, ())):
            self.has_more(stream, now)

    def next(self, now: float) -> OutStream | None:
        """The stream that sends the next frame; None if no stream has something to send."""
        while self._paused and self._paused[0][0] <= now:
            at, _, stream = heapq.heappop(self._paused)
            if at == stream.wakes_at:
                self._awake(stream)
                self.has_more(stream, now)
        ready = self._ready
        while ready:
            stream = ready[0]
            if not stream.sendable(now):
                ready.popleft()
                stream.queued = False
                self._pause(stream, now)
            elif stream.deficit <= 0 and self.competing:
                stream.deficit += QUANTUM
                ready.rotate(-1)
            else:
                return stream
        return None

    def sent(self, stream: OutStream, size: int) -> None:
        """The stream, which `next` has returned, has sent so many bytes."""
        stream.deficit = stream.deficit - size if self.competing else QUANTUM

    def _awake(self, stream: OutStream) -> None:
        """It waits for its listener no more."""
        stream.wakes_at = None
        asleep = self._asleep[stream.listener]
        asleep.discard(stream)
        if not asleep:
            del self._asleep[stream.listener]
