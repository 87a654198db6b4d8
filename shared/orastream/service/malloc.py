"""The C library's heap, told to keep what a busy service gives back: it takes as much again a moment later."""

from __future__ import annotations

import ctypes

KEPT_BYTES = 16 << 20
STEP_BYTES = 1 << 20

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc


def keep() -> bool:
    """Keep up to KEPT_BYTES that were freed for this process, whose pages the kernel would have to clear again.

    What is larger than STEP_BYTES comes and goes as before. False where the C library has no such switch (musl,
    macOS): nothing is changed then. Call once, before there are threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_M_MMAP_THRESHOLD, STEP_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES), (_M_TOP_PAD, STEP_BYTES))
    return all([mallopt(name, size) == 1 for name, size in wanted])
