"""Where the characters of a text stand in the source that it was made from. Pure. Places are Unicode code points.

The source may have more characters than the text: markup, references such as `&amp;`, white space.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

SourceSpan = tuple[int, int]
"""A half-open range: from its first code point to the one after its last."""


@dataclass(frozen=True, slots=True)
class SourceRun:
    """Characters that stand together in the source, one for one; or `chars` that are made of the whole of it."""

    first: int
    end: int
    chars: int
    """Number of characters of the text."""


class SourceRuns:
    """The places of a text that is put together from runs. Not thread-safe."""

    def __init__(self) -> None:
        self._begins: list[int] = []  # offset of each run in the text
        self._runs: list[SourceRun] = []
        self._chars = 0

    def add(self, *runs: SourceRun) -> None:
        """Add the next characters of the text."""
        for run in runs:
            self._begins.append(self._chars)
            self._runs.append(run)
            self._chars += run.chars

    def span(self, first: int, end: int) -> SourceSpan:
        """Returns the place in the source of the text's characters from `first` to before `end`; at least one."""
        return self._char(first)[0], self._char(end - 1)[1]

    def _char(self, at: int) -> SourceSpan:
        number = bisect_right(self._begins, at) - 1
        run, within = self._runs[number], at - self._begins[number]
        if run.end - run.first != run.chars:
            return run.first, run.end
        return run.first + within, run.first + within + 1
