"""Which stored pieces of text are deleted before they expire: the rules of `text_sweep.py`. Pure.

Callers fill TTS_TEXTS with pieces, and a piece is read only after its request. Pieces without a request, after the
final report, or beyond what a text can hold would otherwise keep the room of other callers' texts for an hour.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

ORPHAN_S = 60.0
"""Age of the pieces of a text without a request from which on they are deleted. A caller may publish pieces first."""
PRESSED_ORPHAN_S = 5.0
"""The same while the stream is more than half full."""
LARGEST_TEXT_BYTES = 64 << 20
"""More than a text can need: 65 536 pieces, each with its longest subject and headers, and the text."""
_SHARE = 8
"""A text that holds more than a part of 1/_SHARE of the stream keeps others out."""


class Fate(Enum):
    """What becomes of the stored pieces of a text."""

    KEEP = "its request waits or is in progress"
    LATE = "its request is final: delete all"
    ORPHAN = "nobody has asked for it: delete what is old enough"


def fate(*, final: bool | None, requested: bool) -> Fate:
    """The fate of a text. `final` is whether its report is final, None without one; `requested`: a request is stored.

    A request is deleted only after its final report was stored. So look for the request first and for the report
    after that: then a text with neither has no request, or one that came meanwhile.
    """
    if final:
        return Fate.LATE
    return Fate.KEEP if requested or final is False else Fate.ORPHAN


def is_pressed(stored_bytes: int, max_bytes: int) -> bool:
    """Whether a stream of this size is more than half full."""
    return stored_bytes > max_bytes / 2


def orphan_age_s(*, pressed: bool) -> float:
    """The age in seconds from which on pieces without a request are deleted."""
    return PRESSED_ORPHAN_S if pressed else ORPHAN_S


def too_large_bytes(max_bytes: int) -> int:
    """The size from which on a text is deleted while the stream is pressed, also if it has a request."""
    return max(LARGEST_TEXT_BYTES, max_bytes // _SHARE)


class Ages:
    """Tells which sequences of a stream are old enough, from its last sequence at some times. Times are monotonic.

    It knows only what it was told: a message counts as younger than it is, never as older. Not thread-safe.
    """

    def __init__(self, keep_s: float = ORPHAN_S) -> None:
        """Notes older than `keep_s` seconds are forgotten, except the newest of them."""
        self._keep_s = keep_s
        self._notes: deque[tuple[float, int]] = deque()

    def note(self, now: float, last_seq: int) -> None:
        """The highest sequence of the stream at `now`. A lower one than before means that another stream is there."""
        if self._notes and last_seq < self._notes[-1][1]:
            self._notes.clear()
        self._notes.append((now, last_seq))
        while len(self._notes) > 1 and self._notes[1][0] <= now - self._keep_s:
            self._notes.popleft()

    def old_seq(self, now: float, age_s: float) -> int:
        """The highest sequence that was stored at least `age_s` seconds before `now`; 0 if none is known."""
        return max((seq for at, seq in self._notes if at <= now - age_s), default=0)
