"""Would a listener have run dry? The clock of one who plays in real time from the first chunk on. Pure."""

from __future__ import annotations


class Playback:
    """Told of each chunk when it goes out, it counts the times, and the milliseconds, that the listener had to wait.

    The sample at `pts_ms` is due `pts_ms` after the first one was played, and later by every wait before it. Times are
    milliseconds of any one clock. A repeated chunk changes nothing.
    """

    def __init__(
        self, began_ms: float | None = None, *, chunks: int = 0, underruns: int = 0, underrun_ms: float = 0.0
    ) -> None:
        """A new one; or one that goes on where another left off, as that one's report says."""
        self.underruns = underruns
        """Waits so far."""
        self.underrun_ms = underrun_ms
        """Their sum."""
        self._zero_ms = None if began_ms is None else began_ms + underrun_ms  # when the sample at 0 would be due
        self._next_index = chunks

    def chunk(self, index: int, pts_ms: int, now_ms: float) -> None:
        """Chunk `index`, whose first sample is at `pts_ms`, reached the listener."""
        if index < self._next_index:
            return
        self._next_index = index + 1
        if self._zero_ms is None:
            self._zero_ms = now_ms - pts_ms
            return
        late_ms = now_ms - (self._zero_ms + pts_ms)
        if late_ms > 0:
            self.underruns += 1
            self.underrun_ms += late_ms
            self._zero_ms += late_ms
