"""What a contender cost in one cell of the table, and the arithmetic and layout of the tables."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Shape(NamedTuple):
    """What is carried: chunks of that size, so many to an utterance."""

    chunk_bytes: int
    utterance_chunks: int

    def __str__(self) -> str:
        return f"{self.utterance_chunks:3} x {self.chunk_bytes >> 10:2} KiB"


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender at one shape in one round."""

    contender: str
    shape: Shape
    chunks: int
    """Arrived at the sink while it was measured."""
    seconds: float
    cpu_seconds: float
    load_bound: bool
    """The publisher was the brake: the rate is a lower bound (CPU per chunk is not touched by it)."""
    sink_busy: float
    """CPU of the sink per second of the measurement; near 1.0 the sink would be the brake."""
    latencies_ms: tuple[float, ...] = ()
    """Publish → last byte at the sink, one chunk at a time."""
    problem: str = ""
    """Why the cell does not count: chunks lost, a process that died."""

    @property
    def cpu_us_per_chunk(self) -> float:
        """User and system CPU of the contender's processes."""
        return self.cpu_seconds / self.chunks * 1e6 if self.chunks else float("nan")

    @property
    def chunks_per_s(self) -> float:
        """Rate from the first publish to the last arrival."""
        return self.chunks / self.seconds if self.seconds else float("nan")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, in seconds.

    By the process's CPU clock (nanoseconds; clock_getcpuclockid(3) composes the id as here), which a cell of a second
    needs; where the kernel has none for other processes, by /proc/<pid>/stat, in ticks of 10 ms.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return cpu_seconds_by_ticks(pid)


def cpu_seconds_by_ticks(pid: int) -> float:
    """The same from /proc/<pid>/stat (fields 14 and 15 of proc(5); the name before may contain spaces)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S


def median(values: Iterable[float]) -> float:
    """The median, NaN of nothing."""
    known = [value for value in values if value == value]
    return statistics.median(known) if known else float("nan")


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that `percent` of them do not exceed (nearest rank), NaN of nothing."""
    ranked = sorted(values)
    if not ranked:
        return float("nan")
    return ranked[min(len(ranked) - 1, max(0, round(percent / 100 * len(ranked) + 0.5) - 1))]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of each round: what a round had against it, both had."""
    return median(a / b for a, b in zip(ours, theirs, strict=False) if b)


def number(value: float, digits: int = 0) -> str:
    """A number with thin thousands, a dash for NaN."""
    return "–" if value != value else f"{value:,.{digits}f}".replace(",", " ")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text in columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = []
    for row in [headers, ["─" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
