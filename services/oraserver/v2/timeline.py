"""Which offset of a file is played at which time. Pure.

Exact for WAV, PCM and mu-law. For a coded format the bridge's marks (`ms` of `audio`) are joined by straight lines;
before the first two of them there is a fixed guess.
"""

from __future__ import annotations

from bisect import bisect_right

from orastream.contract.audio import SAMPLE_BYTES, header_bytes

GUESSED_BYTES_PER_S = 4_400
"""Of a coded format, without marks."""


class Timeline:
    """Offsets and times of one file. Offsets in bytes, times in ms."""

    __slots__ = ("_header", "_marks", "_per_second", "exact")

    def __init__(self, fmt: str, rate_hz: int, channels: int) -> None:
        sample = SAMPLE_BYTES.get(fmt)
        self.exact = sample is not None
        """Whether the times are exact: the format is not coded."""
        self._header = header_bytes(fmt)
        self._per_second = GUESSED_BYTES_PER_S if sample is None else sample * rate_hz * channels
        self._marks: list[tuple[int, int]] = [(0, 0)]

    def mark(self, at: int, ms: int) -> None:
        """The sample at offset `at` is played at `ms`. Ignored if it does not rise, and for an exact format."""
        index = bisect_right(self._marks, (at, ms))
        before, after = self._marks[index - 1], self._marks[index : index + 1]
        if self.exact or at <= before[0] or ms <= before[1] or any(at >= a or ms >= m for a, m in after):
            return
        self._marks.insert(index, (at, ms))

    def ms_of(self, at: int) -> float:
        """When the sample at this offset is played."""
        if self.exact:
            return max(at - self._header, 0) * 1000 / self._per_second
        (at0, ms0), per_ms = self._piece(at, 0)
        return ms0 + (at - at0) / per_ms

    def offset_of(self, ms: float) -> int:
        """The offset that is played at this time."""
        if self.exact:
            return self._header + int(ms * self._per_second / 1000) if ms > 0 else 0
        (at0, ms0), per_ms = self._piece(ms, 1)
        return at0 + int((ms - ms0) * per_ms)

    def _piece(self, value: float, axis: int) -> tuple[tuple[int, int], float]:
        """The mark before a value, and the bytes per ms from there on."""
        index = max(bisect_right([mark[axis] for mark in self._marks], value) - 1, 0)
        pair = self._marks[index : index + 2] if index + 1 < len(self._marks) else self._marks[-2:]
        if len(pair) < 2:
            return self._marks[index], self._per_second / 1000
        (at0, ms0), (at1, ms1) = pair
        return self._marks[index], (at1 - at0) / (ms1 - ms0)
