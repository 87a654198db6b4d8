"""What of a stream is on its way, and what was lost. Pure.

TCP loses nothing, so a frame that OraServer has read (`seen`) and whose bytes it has not stored was dropped by it: as
damaged, for want of memory, or because somebody tests the bridge. Frames that it has not read yet are in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from orastream.contract.oraserver.byte_ranges import ByteRanges


class _Sent(NamedTuple):
    frame: int
    first: int
    past: int


class InFlight:
    """The ranges that were sent in frames which OraServer may not have read, in the order of these frames."""

    __slots__ = ("_sent", "bytes")

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self.bytes = 0
        """Bytes in flight."""

    def sent(self, frame: int, first: int, past: int) -> None:
        """A range was sent in this frame. Frame numbers rise, and no byte is sent again before it is lost."""
        self._sent.append(_Sent(frame, first, past))
        self.bytes += past - first

    def seen(self, seen: int, upto: int, ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        """OraServer has read the frames up to `seen`, and has the bytes before `upto` and `ranges`. Return the lost."""
        above, sent = None, self._sent
        while sent and sent[0].frame <= seen:
            _, first, past = sent.popleft()
            self.bytes -= past - first
            if past > upto:  # else nothing of it is lost, which is so nearly always
                above = ByteRanges() if above is None else above
                above.add(max(first, upto), past)
        if above is None:
            return ()
        for first, past in ranges:
            above.remove(first, past)
        return above
