"""The idle timeout of a streamed text. Pure: the caller passes times of one clock, in seconds."""

from __future__ import annotations


class IdleTimer:
    """Counts from the last piece, or from the start of the wait for text if that was later.

    Time in which synth speaks does not count: else a writer that pauses during the speech would time out at the moment
    when the speech ends.
    """

    def __init__(self, idle_s: float, now: float) -> None:
        self._idle_s = idle_s
        self._since = now

    @property
    def over_at(self) -> float:
        """When the timeout ends, unless a piece comes before."""
        return self._since + self._idle_s

    def waits(self, now: float) -> None:
        """A wait for text begins."""
        self._since = max(self._since, now)

    def restart(self, now: float) -> None:
        """A piece came, or NATS was not reachable, so that it is unknown whether one came."""
        self._since = max(self._since, now)
