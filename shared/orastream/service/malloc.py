"""Makes the C library keep freed memory, because a busy service allocates as much again a moment later."""

from __future__ import annotations

import ctypes

KEPT_BYTES = 16 << 20
STEP_BYTES = 1 << 20

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc


def keep() -> bool:
    """Keep up to KEPT_BYTES of freed memory in this process, so that the kernel need not clear its pages again.

    Blocks larger than STEP_BYTES are still returned. Returns False, and changes nothing, if the C library has no
    `mallopt` (musl, macOS). Call it once, before threads are started.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_M_MMAP_THRESHOLD, STEP_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES), (_M_TOP_PAD, STEP_BYTES))
    return all([mallopt(name, size) == 1 for name, size in wanted])


def trim() -> bool:
    """Return the freed pages of this process to the kernel; the next allocations get them anew.

    Takes milliseconds, in which other threads run. Returns False, and does nothing, if the C library has no
    `malloc_trim`. Thread-safe.
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    malloc_trim(KEPT_BYTES)
    return True
