"""Gives memory back to the kernel after a burst of work."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

from orastream.service import malloc

EVERY_S = 30.0
GROWN_BYTES = 16 << 20


async def return_unused(every_s: float = EVERY_S) -> None:
    """Look every `every_s` seconds until cancelled; if the process has grown, collect garbage and return the memory.

    Grown means: by GROWN_BYTES over the least size that it had at a look. Otherwise collections are rare
    (`lifecycle.run`) and the C library keeps freed memory (`malloc.keep`), so a service would keep most of its peak.
    Takes some milliseconds of the event loop. Does nothing where the size is not known (without /proc).
    """
    least = resident_bytes()
    while True:
        await asyncio.sleep(every_s)
        if resident_bytes() > least + GROWN_BYTES:
            gc.collect()
            await asyncio.to_thread(malloc.trim)
        least = min(least, resident_bytes())


def resident_bytes() -> int:
    """The memory of this process (resident set size), or 0 if that is not known."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
