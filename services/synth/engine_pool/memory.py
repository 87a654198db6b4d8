"""How much memory another process holds."""

from __future__ import annotations

import resource
from pathlib import Path

_PAGE_BYTES = resource.getpagesize()

SUPPORTED = Path("/proc/self/statm").exists()
"""Whether this system tells."""


def resident_bytes(pid: int) -> int:
    """What of a process is in memory; 0 when it is gone, or the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
