"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_S = 0.5


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and return when all have ended; whatever they raised is dropped.

    Cancels again until it works: on Python 3.11 `asyncio.wait_for`, which libraries use, swallows a cancellation that
    comes together with the result, and the task would live on.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: not reported as never retrieved
