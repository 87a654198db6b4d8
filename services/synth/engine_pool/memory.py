"""Memory of another process."""

from __future__ import annotations

import resource
from pathlib import Path

_PAGE_BYTES = resource.getpagesize()

SUPPORTED = Path("/proc/self/statm").exists()
"""Whether this system has /proc."""


def resident_bytes(pid: int) -> int:
    """Returns the resident memory of a process in bytes; 0 if the process has ended or the system has no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
