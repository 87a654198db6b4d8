"""How much work a request is, estimated from those that were spoken. Pure."""

from __future__ import annotations

_KEEP = 0.9  # weight that older utterances keep at each new one


class Pace:
    """Moving means over the last utterances of this synth."""

    def __init__(self, lead_s: float) -> None:
        """`lead_s`: a request gives its slot up to others when its listener has so many seconds of audio."""
        self._lead_s = lead_s
        self._count = 0.0
        self._bytes = 0.0
        self._audio_s = 0.0
        self._work_s = 0.0

    def took(self, size_bytes: int, audio_s: float, work_s: float) -> None:
        """A request of that size gave `audio_s` seconds of audio in `work_s` seconds of the engine."""
        self._count = _KEEP * self._count + 1
        self._bytes = _KEEP * self._bytes + size_bytes
        self._audio_s = _KEEP * self._audio_s + audio_s
        self._work_s = _KEEP * self._work_s + work_s

    @property
    def mean_s(self) -> float:
        """Mean seconds of work until a request leaves its slot; 0 before the first one."""
        return min(self._work_s / self._count, self._longest_s) if self._count else 0.0

    def of(self, size_bytes: int) -> float:
        """Returns the seconds of work until a request of that size leaves its slot; 0 before the first one."""
        return min(size_bytes * self._work_s / self._bytes, self._longest_s) if self._bytes else 0.0

    @property
    def _longest_s(self) -> float:
        return self._lead_s * self._work_s / self._audio_s if self._audio_s else 0.0
