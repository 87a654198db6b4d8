"""Work of one session that waits: tasks whose outcomes the session's loop takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from orastream.base import tasks
from orastream.delivery.runtime.outcomes import Outcome


class Background:
    """Tasks in `group`. Each returns an outcome or None. `wake` is called for each outcome. For one event loop.

    A task that raises ends the group, and with it the session.
    """

    def __init__(self, group: asyncio.TaskGroup, wake: Callable[[], None]) -> None:
        self._group = group
        self._wake = wake
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: deque[Outcome] = deque()

    def start(self, work: Coroutine[Any, Any, Outcome | None]) -> asyncio.Task[None]:
        """Start a task. Its outcome comes from `take`."""
        task = self._group.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # one that is cancelled before it begins would warn otherwise
        return task

    async def _run(self, work: Coroutine[Any, Any, Outcome | None]) -> None:
        outcome = await work
        if outcome is not None:
            self.put(outcome)

    def put(self, outcome: Outcome) -> None:
        """Add an outcome that came without a task."""
        self._outcomes.append(outcome)
        self._wake()

    def take(self) -> Iterator[Outcome]:
        """Remove and yield the outcomes, in the order in which they came."""
        while self._outcomes:
            yield self._outcomes.popleft()

    @property
    def empty(self) -> bool:
        """Whether no task runs and no outcome waits."""
        return not self._tasks and not self._outcomes

    async def finish(self, timeout_s: float, until: float) -> None:
        """Wait up to `timeout_s` seconds for the running tasks, and not beyond `until` (monotonic seconds)."""
        left = until - asyncio.get_running_loop().time()
        if self._tasks and left > 0:
            await asyncio.wait(self._tasks, timeout=min(timeout_s, left))

    async def end(self) -> None:
        """Cancel the running tasks and wait until they have ended."""
        await tasks.end(*self._tasks)
