"""Distinguishes silence that means a failure from silence between words. Pure.

After a failure inside inference, a server answers with status 200 and one second of zeros at 16 kHz, a rate that no
model has. After a failure in a later segment, it sends 16 000 zeros and then breaks the stream. So zeros are held until
other samples follow. After a failure no speech follows, and the zeros are dropped.
"""

from __future__ import annotations

FAILURE_RATE_HZ = 16_000
_HELD_S = 1.0
_BYTES = 2


class SilentFailure(ValueError):
    """The server answered with zeros only."""


class SilenceGate:
    """Passes the samples of one answer on, and zeros when other samples follow. It holds at most one second."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._held_bytes = 0
        self._has_sound = False

    def push(self, pcm: bytes) -> bytes:
        """Returns the bytes that can be passed on; `pcm` is whole samples. Raises SilentFailure."""
        end = _end_of_sound(pcm)
        out = b""
        if end:
            self._has_sound = True
            out = bytes(self._held_bytes) + pcm[:end]
            self._held_bytes = 0
        self._held_bytes += len(pcm) - end
        most = int(_HELD_S * self._rate_hz) * _BYTES
        if not self._has_sound and self._rate_hz == FAILURE_RATE_HZ and self._held_bytes >= most:
            raise SilentFailure
        passed = max(self._held_bytes - most, 0)
        self._held_bytes -= passed
        return out + bytes(passed)

    def end(self) -> bytes:
        """Returns the rest after a complete answer. Raises SilentFailure if all samples were zero."""
        if not self._has_sound:
            raise SilentFailure
        held, self._held_bytes = self._held_bytes, 0
        return bytes(held)


def _end_of_sound(pcm: bytes) -> int:
    """Returns the size in bytes up to the last sample that is not zero."""
    size = len(pcm.rstrip(b"\0"))
    return size + size % _BYTES
