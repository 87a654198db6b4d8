"""Silence that stands for a failure, told from silence between words; and how long a server may give nothing. Pure.

A failure inside inference comes with status 200, as one second of zeros at 16 kHz, a rate that no model has; when it
happens after the first segment, as 16 000 zeros more and then a broken stream. So zeros are held back until something
follows them, which nobody hears: what follows a failure is never speech.
"""

from __future__ import annotations

FAILURE_RATE_HZ = 16_000
_HELD_S = 1.0
_BYTES = 2
_LEAST_S = 0.02
"""Less sound than that is no sign that a server speaks: a drop now and then would keep a listener waiting for ever."""


class SilencePatience:
    """How much longer a server is waited for. It begins anew with each `_LEAST_S` of what is handed out.

    Only time spent in waiting for the server counts: a listener who takes the samples slowly is not its fault. Samples
    that are held back do not count either, since whoever listens has nothing of them; an answer's own pauses come with
    the speech beside them, and much sooner than any patience ends.
    """

    def __init__(self, patience_s: float, rate_hz: int) -> None:
        """`rate_hz` is that of the samples handed out."""
        self.left_s = patience_s
        self._patience_s = patience_s
        self._least_bytes = int(_LEAST_S * rate_hz) * _BYTES
        self._given_bytes = 0

    def waited(self, seconds: float) -> None:
        """So long it took until the server gave anything."""
        self.left_s -= seconds

    def given(self, size: int) -> None:
        """So many bytes of sound were handed out."""
        self._given_bytes += size
        if self._given_bytes >= self._least_bytes:
            self._given_bytes = 0
            self.left_s = self._patience_s


class SilentFailure(ValueError):
    """The server said nothing, in so many zeros."""


class SilenceGate:
    """Passes samples of one answer on, zeros once it is known what follows them: at most a second is held."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._held_bytes = 0
        self._heard = False

    def push(self, pcm: bytes) -> bytes:
        """What may be passed on by now, of whole samples. Raises SilentFailure."""
        end = _end_of_sound(pcm)
        out = b""
        if end:
            self._heard = True
            out = bytes(self._held_bytes) + pcm[:end]
            self._held_bytes = 0
        self._held_bytes += len(pcm) - end
        most = int(_HELD_S * self._rate_hz) * _BYTES
        if not self._heard and self._rate_hz == FAILURE_RATE_HZ and self._held_bytes >= most:
            raise SilentFailure
        passed = max(self._held_bytes - most, 0)
        self._held_bytes -= passed
        return out + bytes(passed)

    def end(self) -> bytes:
        """The rest, when the answer has ended as it should. Raises SilentFailure when no sample was heard at all."""
        if not self._heard:
            raise SilentFailure
        held, self._held_bytes = self._held_bytes, 0
        return bytes(held)


def _end_of_sound(pcm: bytes) -> int:
    """Bytes up to the last sample that is not zero."""
    size = len(pcm.rstrip(b"\0"))
    return size + size % _BYTES
