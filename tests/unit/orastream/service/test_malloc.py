"""`malloc.keep`: freed pages stay in the process, so that the next allocation causes no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from orastream.service import malloc

pytestmark = pytest.mark.unit

MEGABYTES = """
import resource, sys
from orastream.service import malloc
kept = malloc.keep() if sys.argv[1] == "keep" else True
for _ in range(3):
    [bytearray(256 << 10) for _ in range(32)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    [bytearray(256 << 10) for _ in range(32)]
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[bool, int]:
    """The result of `keep` in a process, and its number of page faults for 50 allocations of 8 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEGABYTES, how], check=True, capture_output=True, text=True, timeout=60
    )
    kept, count = done.stdout.split()
    return kept == "True", int(count)


def test_keep_leaves_freed_memory_in_the_process() -> None:
    kept, with_it = faults("keep")
    if platform.libc_ver()[0] != "glibc":
        assert not malloc.keep(), "keep did not return False on a C library without mallopt"
        return
    assert kept
    assert with_it * 10 < faults("leave")[1]
