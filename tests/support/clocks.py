"""Processes on hosts whose clock is wrong."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.services import REPOSITORY

_FOLDER = Path(__file__).parent / "shifted_clock"


def shifted(seconds: float) -> dict[str, object]:
    """Settings of a service that has a clock `seconds` ahead: its `time.time` and `time.time_ns` are patched."""
    path = os.pathsep.join(map(str, (_FOLDER, REPOSITORY, REPOSITORY / "shared")))
    return {"PYTHONPATH": path, "TEST_CLOCK_SHIFT_S": seconds}
