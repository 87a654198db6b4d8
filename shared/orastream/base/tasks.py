"""Cancel tasks and wait until they have really ended; clean up although the task is cancelled again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

_CANCEL_AGAIN_S = 0.5
_finishing: set[asyncio.Task[None]] = set()
"""The event loop has only weak references to its tasks."""


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, the end of a block, and wait for it. If the caller is cancelled, it goes on in a task of its own.

    A task can be cancelled several times. Without this a second time would leave out the rest of its `finally`.
    """
    task = asyncio.create_task(work)
    _finishing.add(task)
    task.add_done_callback(_finishing.discard)
    await asyncio.shield(task)


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
