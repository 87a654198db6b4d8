"""Shifts the time of day of a process by TEST_CLOCK_SHIFT_S seconds. Python imports it if this folder is in PYTHONPATH.

The monotonic clock stays as it is, as on a host whose clock is set wrongly.
"""

import os
import time

_shift_ns = int(float(os.environ["TEST_CLOCK_SHIFT_S"]) * 1e9)
_time_ns = time.time_ns


def _shifted_ns() -> int:
    return _time_ns() + _shift_ns


def _shifted_s() -> float:
    return _shifted_ns() / 1e9


time.time_ns = _shifted_ns
time.time = _shifted_s
