"""Cuts the silence at the begin and at the end of a sentence's audio to a bound, while it streams. Pure.

Silence before the first sound is dropped, except for the last part of it. Silence after a sound is held back until the
next sound shows that it is a pause inside the sentence, or the end shows that it is the edge. numpy is imported by
`load`, or at first use.
"""

from __future__ import annotations

SILENT = 32
"""The largest sample that counts as silence: -60 dB below full scale. A louder sample is never cut."""
MAX_HELD_S = 2.0
"""Seconds of silence that are held back beyond the bound. Of a longer pause the begin is passed on at once."""
MAX_LEAD_S = 10.0
"""Seconds of silence before the first sound that may be cut. Of an engine that gives silence without end, more is
passed on, so that it meets the limits of audio."""
_BYTES = 2


def load() -> None:
    """Imports numpy. The first call blocks for 0.1 to 0.7 s, and takes 11 MiB."""
    import numpy

    del numpy


class EdgeTrim:
    """The audio of one sentence, mono PCM16 little-endian. Not thread-safe.

    The output depends on the samples only, not on how the calls split them. It ends at most the bound after the last
    sound; later only after a silence of more than MAX_HELD_S and the bound. If nothing is louder than SILENT, and it is
    no longer than MAX_LEAD_S, it is at most the bound.
    """

    def __init__(self, rate_hz: int, bound_ms: int) -> None:
        """`bound_ms` is the bound for each edge, above 0."""
        self._bound = max(rate_hz * bound_ms // 1000, 1)
        self._max_held = self._bound + int(rate_hz * MAX_HELD_S)
        self._max_lead = self._bound + int(rate_hz * MAX_LEAD_S)
        self._held = bytearray()
        self._passed_of_run = 0  # samples passed on since the last sound
        self.begun = False
        """Whether the begin is decided, and `cut` does not change any more."""
        self.cut = 0
        """Samples that were cut at the begin."""
        self.given = 0
        """Samples that came in."""
        self.passed = 0
        """Samples that were passed on."""

    def push(self, pcm: bytes) -> bytes:
        """Returns what can be passed on. `pcm` is whole samples."""
        if not pcm:
            return b""
        import numpy as np

        self.given += len(pcm) // _BYTES
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, dtype="<i2").astype(np.int32)) > SILENT)
        if not len(loud):
            return self._count(self._silence(pcm))
        first, end = int(loud[0]) * _BYTES, int(loud[-1] + 1) * _BYTES
        out = self._silence(pcm[:first]) + bytes(self._held) + pcm[first:end]
        self.begun = True
        self._held.clear()
        self._passed_of_run = 0
        return self._count(out + self._silence(pcm[end:]))

    def finish(self) -> bytes:
        """Returns the rest at the end of the sentence: silence up to the bound, at least one sample if any was held."""
        keep = self._bound - self._passed_of_run if self.begun else self._bound
        out = bytes(self._held[: max(keep, 1) * _BYTES])
        self._held.clear()
        self.begun = True
        return self._count(out)

    def _silence(self, pcm: bytes) -> bytes:
        """Take silent samples. Returns those that must not be held any longer."""
        self._held += pcm
        held = len(self._held) // _BYTES
        if not self.begun:
            if self.cut + held <= self._max_lead:
                self._drop(held - self._bound)
                return b""
            self._drop(self._max_lead - self._bound - self.cut)
            self.begun = True
            held = len(self._held) // _BYTES
        excess = max(held - self._max_held, 0)
        out = bytes(self._held[: excess * _BYTES])
        del self._held[: excess * _BYTES]
        self._passed_of_run += excess
        return out

    def _drop(self, samples: int) -> None:
        if samples > 0:
            del self._held[: samples * _BYTES]
            self.cut += samples

    def _count(self, out: bytes) -> bytes:
        self.passed += len(out) // _BYTES
        return out
