"""The measured values of one table cell, and the arithmetic and layout of the tables."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Shape(NamedTuple):
    """The shape of the load: chunk size in bytes, and chunks for each utterance."""

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
    """Number of chunks that arrived at the sink during the measurement."""
    seconds: float
    cpu_seconds: float
    load_bound: bool
    """The publisher was the bottleneck: the rate is a lower bound. (CPU per chunk is still valid.)"""
    sink_busy: float
    """CPU seconds of the sink per second of the measurement. Near 1.0 the sink is the bottleneck."""
    latencies_ms: tuple[float, ...] = ()
    """From the publish to the last byte at the sink, one chunk at a time."""
    problem: str = ""
    """Why the cell is invalid, for example lost chunks or an ended process; "" if it is valid."""

    @property
    def cpu_us_per_chunk(self) -> float:
        """User and system CPU time of the contender's processes, in microseconds per chunk."""
        return self.cpu_seconds / self.chunks * 1e6 if self.chunks else float("nan")

    @property
    def chunks_per_s(self) -> float:
        """Chunks per second, from the first publish to the last arrival."""
        return self.chunks / self.seconds if self.seconds else float("nan")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, in seconds.

    It reads the process's CPU clock (its id is built as in clock_getcpuclockid(3)), because a cell takes only a second
    and needs that resolution. If the kernel has no such clock for other processes: /proc/<pid>/stat, in ticks of 10 ms.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return cpu_seconds_by_ticks(pid)


def cpu_seconds_by_ticks(pid: int) -> float:
    """The same from /proc/<pid>/stat (fields 14 and 15 of proc(5); the name in field 2 may have spaces)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S


def median(values: Iterable[float]) -> float:
    """The median; NaN without values."""
    known = [value for value in values if value == value]
    return statistics.median(known) if known else float("nan")


def percentile(values: Iterable[float], percent: float) -> float:
    """The percentile (nearest rank); NaN without values."""
    ranked = sorted(values)
    if not ranked:
        return float("nan")
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each round. Within a round both had the same conditions."""
    return median(a / b for a, b in zip(ours, theirs, strict=False) if b)


def number(value: float, digits: int = 0) -> str:
    """The number with grouped thousands, or a dash for NaN."""
    return "–" if value != value else f"{value:,.{digits}f}".replace(",", " ")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain text table: the first column is left-aligned, the others are right-aligned."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = []
    for row in [headers, ["─" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
