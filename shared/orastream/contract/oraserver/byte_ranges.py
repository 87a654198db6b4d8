"""A set of byte offsets as ranges. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class ByteRanges:
    """Half-open ranges `(from, to)` in order, apart from each other. All calls take time in the number of ranges."""

    __slots__ = ("_firsts", "_pasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._pasts: list[int] = []
        for first, past in ranges:
            self.add(first, past)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._pasts, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    @property
    def total(self) -> int:
        """The number of bytes."""
        return sum(self._pasts) - sum(self._firsts)

    @property
    def first(self) -> tuple[int, int]:
        """The lowest range. Raises IndexError if there is none."""
        return self._firsts[0], self._pasts[0]

    @property
    def past(self) -> int:
        """The end of the highest range; 0 if there is none."""
        return self._pasts[-1] if self._pasts else 0

    def add(self, first: int, past: int) -> None:
        """Add a range. It is joined with those that it touches. An empty range adds nothing."""
        if first >= past:
            return
        low, high = bisect_left(self._pasts, first), bisect_right(self._firsts, past)
        if low < high:
            first, past = min(first, self._firsts[low]), max(past, self._pasts[high - 1])
        self._firsts[low:high] = [first]
        self._pasts[low:high] = [past]

    def remove(self, first: int, past: int) -> None:
        """Remove a range, as far as it is there."""
        if first >= past:
            return
        low, high = bisect_right(self._pasts, first), bisect_left(self._firsts, past)
        if low >= high:
            return
        rest = [(self._firsts[low], first), (past, self._pasts[high - 1])]
        rest = [(begin, end) for begin, end in rest if begin < end]
        self._firsts[low:high] = [begin for begin, _ in rest]
        self._pasts[low:high] = [end for _, end in rest]
