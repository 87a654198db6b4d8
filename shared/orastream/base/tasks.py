"""Cancel tasks and wait until they have really ended."""

from __future__ import annotations

import asyncio
from typing import Any

_CANCEL_AGAIN_S = 0.5


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and return when all have ended. Drops the errors that they raised.

    Cancels again every 0.5 s until a task has ended: on Python 3.11 `asyncio.wait_for`, which libraries use, loses a
    cancellation that comes at the same time as the result, and the task would continue.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_CANCEL_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log "exception was never retrieved"
