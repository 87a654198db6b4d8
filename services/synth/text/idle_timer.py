"""How long a writer has been silent while he was waited for. Pure: times are given, of one clock."""

from __future__ import annotations


class IdleTimer:
    """Counts from the last piece, or from when the wait for it began if that was later.

    What synth speaks meanwhile is not the writer's silence: one that writes while he is listened to would else be given
    up the moment that the speech ends, with no time at all to go on.
    """

    def __init__(self, idle_s: float, now: float) -> None:
        self._idle_s = idle_s
        self._since = now

    @property
    def over_at(self) -> float:
        """When he is given up, unless a piece comes before."""
        return self._since + self._idle_s

    def waits(self, now: float) -> None:
        """From now on a piece is waited for."""
        self._since = max(self._since, now)

    def heard(self, now: float) -> None:
        """A piece came, or it could not be known whether one did."""
        self._since = max(self._since, now)
