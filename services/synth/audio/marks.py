"""Keeps sentence starts and word ends until the chunker makes the piece that has them. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

NOWHERE = math.inf
"""After all audio."""

T = TypeVar("T")


class Marks(Generic[T]):
    """Things by their place in the file, in any unit of the chunker's. Not thread-safe.

    One piece gets marks of at most `max_size` together, or a single larger one, so that its message has a bounded size.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._marks: deque[tuple[float, T, int]] = deque()  # (place, mark, size)

    def add(self, place: float, mark: T, size: int = 1) -> None:
        """Add a mark at `place`, which is not before the last one's."""
        self._marks.append((place, mark, size))

    def take(self, before: float) -> tuple[T, ...]:
        """Remove and return the marks before that place, as many as one piece may have."""
        if not self._marks or self._marks[0][0] >= before:
            return ()
        count = sum(place < before for place, _, _ in self._of_a_piece())
        return tuple(self._marks.popleft()[1] for _ in range(count))

    @property
    def too_many_at(self) -> float:
        """The place of the first mark that the next piece cannot have, NOWHERE if there is none."""
        if len(self._marks) < 2:
            return NOWHERE
        count = len(self._of_a_piece())
        return self._marks[count][0] if count < len(self._marks) else NOWHERE

    def _of_a_piece(self) -> list[tuple[float, T, int]]:
        """The first marks that fit into one piece together."""
        fitting: list[tuple[float, T, int]] = []
        total = 0
        for mark in self._marks:
            total += mark[2]
            if fitting and total > self._max_size:
                break
            fitting.append(mark)
        return fitting
