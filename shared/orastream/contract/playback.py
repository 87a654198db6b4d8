"""Counts underruns: the waits of a receiver that plays in real time from the first chunk on. Pure."""

from __future__ import annotations


class Playback:
    """Counts the waits of the receiver, and sums them in milliseconds. Call `chunk` for each chunk that is sent.

    A sample is due `pts_ms` after the first one was played, plus all waits before it. Times are milliseconds of one
    clock. A repeated chunk changes nothing.
    """

    def __init__(
        self, began_ms: float | None = None, *, chunks: int = 0, underruns: int = 0, underrun_ms: float = 0.0
    ) -> None:
        """Without arguments, start at the first chunk. With the values of a report, continue its count.

        `began_ms` is when playing began, `chunks` how many chunks were sent.
        """
        self.underruns = underruns
        """Number of waits so far."""
        self.underrun_ms = underrun_ms
        """Sum of the waits, in milliseconds."""
        self._zero_ms = None if began_ms is None else began_ms + underrun_ms  # when pts 0 was due, waits included
        self._next_index = chunks

    def chunk(self, index: int, pts_ms: int, now_ms: float) -> None:
        """Count chunk `index`, whose first sample is at `pts_ms`, as received at `now_ms`."""
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
