"""`memory.return_unused`: after a burst a process does not keep its peak."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

BURST = """
import asyncio, gc
from orastream.service import malloc, memory

class Node:
    def __init__(self):
        self.me, self.data = self, [bytes(1000 + n) for n in range(100)]

async def main():
    gc.disable()  # as rare as in a service
    malloc.keep()
    before = memory.resident_bytes()
    task = asyncio.create_task(memory.return_unused(0.2))
    await asyncio.sleep(0)
    kept, burst = [], []
    for n in range(1000):
        burst.append(Node())
        if n % 50 == 0:
            kept.append(bytes(50_000))  # so that the free memory has holes
    burst.clear()
    peak = memory.resident_bytes()
    for _ in range(100):
        await asyncio.sleep(0.1)
        if memory.resident_bytes() < before + (peak - before) / 3:
            break
    print(before, peak, memory.resident_bytes())
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim")
def test_garbage_is_freed_and_its_memory_returned() -> None:
    done = subprocess.run([sys.executable, "-c", BURST], check=True, capture_output=True, text=True, timeout=60)
    before, peak, after = (int(size) for size in done.stdout.split())
    assert peak - before > 80 << 20, "there was no burst"
    assert after - before < (peak - before) / 3
