"""Which bytes of a file a receiver has. Pure."""

from __future__ import annotations

from bisect import bisect_right

from orastream.contract.oraserver.byte_ranges import ByteRanges
from orastream.contract.oraserver.from_server import Ranges


class ReceivedRanges(ByteRanges):
    """The bytes of one file that were received."""

    __slots__ = ()

    def missing(self, first: int, past: int) -> list[tuple[int, int]]:
        """The parts of this range that are not in the set, in order."""
        found = []
        for index in range(bisect_right(self._pasts, first), len(self._firsts)):
            if self._firsts[index] >= past:
                break
            if first < self._firsts[index]:
                found.append((first, self._firsts[index]))
            first = max(first, self._pasts[index])
        if first < past:
            found.append((first, past))
        return found

    def overlap(self, first: int, past: int) -> int:
        """How many bytes of this range are in the set."""
        return past - first - sum(end - begin for begin, end in self.missing(first, past))

    @property
    def upto(self) -> int:
        """All bytes before it are in the set."""
        return self._pasts[0] if self._firsts and self._firsts[0] == 0 else 0

    @property
    def end(self) -> int:
        """The byte after the last one of the set."""
        return self._pasts[-1] if self._pasts else 0

    @property
    def above(self) -> Ranges:
        """The ranges above `upto`."""
        all_ranges = tuple(zip(self._firsts, self._pasts, strict=True))
        return all_ranges[1:] if self.upto else all_ranges
