"""Checks that work on a text takes linear time: by a ratio in one run, because machines differ in speed."""

from __future__ import annotations

import time
from collections.abc import Callable

SHORT_CHARS = 250
LONGER = 8
"""How much longer the long text is. Work in quadratic time takes 64 times as long."""
ALLOWED = 24
"""How much longer work on it may take. The machine may be busy, and short work is measured roughly."""
_NOISE_S = 0.02


def assert_linear(work: Callable[[str], object], unit: str, tail: str = "", *, short_chars: int = SHORT_CHARS) -> None:
    """Works on a repeated unit of text, with a tail that does not match it, and on one that is LONGER times as long."""

    def cpu_s(chars: int) -> float:
        text = (unit * chars)[:chars] + tail
        began = time.process_time()
        work(text)
        return time.process_time() - began

    short_s = min(cpu_s(short_chars) for _ in range(2))
    long_s = 0.0
    for _ in range(3):
        long_s = cpu_s(LONGER * short_chars)
        if long_s <= ALLOWED * short_s + _NOISE_S:
            return
    raise AssertionError(f"{LONGER} times as much of {unit!r} took {long_s / max(short_s, 1e-9):.0f} times as long")
