"""What a soak measures, and whether it is flat. `problems` is pure; the functions after it read /proc."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orastream.service.memory import resident_bytes

FIRST_SESSIONS = 1000
"""By then each service has its pools, caches and open sessions. Later values are compared with those after it."""
WINDOW = 6
"""Number of samples whose median is compared: one sample may lie in a garbage collection."""
MAX_GROWTH = 1.2
MAX_MORE_DESCRIPTORS = 20
MAX_SLOWER = 3.0
"""Latency is of a machine that others use too, so that only a trend counts."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The node at one moment. `latencies_ms` is of the requests that ended since the sample before."""

    at_s: float
    sessions: int
    memory: Mapping[str, int]
    """Resident bytes of each part."""
    descriptors: Mapping[str, int]
    latencies_ms: Sequence[float] = field(default=())

    def latency_ms(self, share: float) -> float:
        """A quantile (nearest rank) of the latencies; NaN if no request has ended."""
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")


def problems(samples: Sequence[Sample], max_bytes: Mapping[str, int]) -> list[str]:
    """Why the soak was not flat, a line each. Compares the last WINDOW samples with those after FIRST_SESSIONS.

    `max_bytes` is of the parts whose memory may go up and down below a limit: they are compared with it.
    """
    after = [sample for sample in samples if sample.sessions >= FIRST_SESSIONS]
    if len(after) < 2 * WINDOW:
        return [f"too short: {FIRST_SESSIONS} sessions and {2 * WINDOW} samples after them are needed"]
    first, last = after[:WINDOW], after[-WINDOW:]
    found = []
    for name in last[-1].memory:
        before, now = (statistics.median(sample.memory[name] for sample in part) for part in (first, last))
        if now > max_bytes.get(name, MAX_GROWTH * before):
            found.append(f"{name}: memory grew from {before / 2**20:.0f} to {now / 2**20:.0f} MiB")
        before, now = (statistics.median(sample.descriptors[name] for sample in part) for part in (first, last))
        if now > before + MAX_MORE_DESCRIPTORS:
            found.append(f"{name}: open descriptors grew from {before:.0f} to {now:.0f}")
    before, now = (statistics.median(sample.latency_ms(0.5) for sample in part) for part in (first, last))
    if not now <= MAX_SLOWER * before:
        found.append(f"the median latency grew from {before:.0f} to {now:.0f} ms")
    return found


def parts(processes: Mapping[str, int]) -> dict[str, list[int]]:
    """The pids of each part: of each process (name → pid), and of its children, which are synth's engines."""
    found: dict[str, list[int]] = {}
    for name, pid in processes.items():
        found[name] = [pid]
        if children := _children(pid):
            found[f"{name}'s engines"] = children
    return found


def memory_of(pids: Iterable[int]) -> int:
    """Resident bytes of these processes together; of one that has ended 0."""
    return sum(map(resident_bytes, pids))


def descriptors_of(pids: Iterable[int]) -> int:
    """Open descriptors of these processes together; of one that has ended 0."""
    count = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/fd"))
    return count


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
