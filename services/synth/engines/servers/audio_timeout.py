"""Limits the time without audio of a server. Pure."""

from __future__ import annotations

_BYTES = 2
_LEAST_S = 0.02
"""Seconds of sound that restart the timeout. With less, a server that sends a few samples now and then would never time
out."""


class AudioTimeout:
    """Timeout for a server that sends no audio. It restarts with each `_LEAST_S` of samples passed on.

    Only the time spent waiting for the server counts, not the time of a slow listener.
    """

    def __init__(self, first_s: float, next_s: float, rate_hz: int) -> None:
        """`first_s` is for the first samples, `next_s` for later ones; `rate_hz` is the rate of the samples."""
        self.left_s = first_s
        self.limit_s = first_s
        """The timeout that counts now."""
        self._next_s = next_s
        self._least_bytes = int(_LEAST_S * rate_hz) * _BYTES
        self._given_bytes = 0

    def waited(self, seconds: float) -> None:
        """Counts the seconds until the server sent bytes."""
        self.left_s -= seconds

    def given(self, size: int) -> None:
        """Counts bytes of samples passed on."""
        self._given_bytes += size
        if self._given_bytes >= self._least_bytes:
            self._given_bytes = 0
            self.left_s = self.limit_s = self._next_s
