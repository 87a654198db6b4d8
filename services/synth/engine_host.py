"""A pool of engine processes: one utterance at a time each, first come, first served (asyncio).

A crash, a hang or a busy GIL of an engine never touches the loop: it costs the utterance that was being spoken, and the
pool starts another process, warm before it is used. The processes end with the pool, and with this process however it
ends (`engine_process`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from structlog.typing import FilteringBoundLogger

from orastream.backoff import Backoff
from services.synth.engine_client import EngineInfo, PooledEngine
from services.synth.engines.base import EngineError

START_S = 300.0
"""A model may take this long to load."""
STALL_S = 20.0
"""An engine that gives no sign of life for this long in mid-sentence is killed."""

_LIVED_S = 30.0  # a process that lived as long as this is replaced at once
_BACKOFF_S = (0.1, 10.0)


class EnginePool:
    """`processes` engines of one kind, as `async with`.

    Entering starts them all and raises EngineError when one does not start. Afterwards one that dies is replaced, after
    a growing wait when it died young. `python` is the interpreter that has the engine installed.
    """

    def __init__(
        self,
        engine_name: str,
        processes: int,
        *,
        log: FilteringBoundLogger,
        python: str = sys.executable,
        stall_s: float = STALL_S,
        start_s: float = START_S,
    ) -> None:
        if processes < 1:
            raise ValueError("a pool has at least one process")
        self.restarts = 0
        """Processes that were started in the place of one that died."""
        self._name = engine_name
        self._processes = processes
        self._python = python
        self._stall_s, self._start_s = stall_s, start_s
        self._log = log.bind(engine=engine_name)
        self._info: EngineInfo | None = None
        self._engines: set[PooledEngine] = set()
        self._free: deque[PooledEngine] = deque()
        self._waiting: deque[asyncio.Future[PooledEngine]] = deque()
        self._tasks = asyncio.TaskGroup()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def info(self) -> EngineInfo:
        """What the engine says about itself. Only once the pool was entered."""
        assert self._info is not None, "the pool was not entered"
        return self._info

    @property
    def alive(self) -> int:
        """Engines that can speak or are speaking now; below `processes` while some are being replaced."""
        return sum(engine.alive for engine in self._engines)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close_all)
            engines = await self._start_all()
            self._info = engines[0].info
            await self._tasks.__aenter__()
            self._keepers = [self._tasks.create_task(self._keep(engine)) for engine in engines]
            stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            while self._waiting:
                if not (waiter := self._waiting.popleft()).done():
                    waiter.set_exception(EngineError("the engine pool is closed"))
            await self._close_all()

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[PooledEngine]:
        """An engine for as long as the block lasts; waits in line for one.

        However the block ends, the engine is stopped and goes to the next in line, or is replaced if it died.
        """
        engine = await self._next()
        try:
            yield engine
        finally:
            try:
                await engine.settle()
            finally:
                if engine.alive:
                    self._offer(engine)

    async def _next(self) -> PooledEngine:
        while self._free:
            if (engine := self._free.popleft()).alive:
                return engine
        waiter: asyncio.Future[PooledEngine] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._offer(waiter.result())  # cancelled between being given an engine and waking up
            raise

    def _offer(self, engine: PooledEngine) -> None:
        """Hand a free engine to the first in line, not to whoever comes next."""
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(engine)
                return
        self._free.append(engine)

    async def _start_all(self) -> list[PooledEngine]:
        try:
            async with asyncio.TaskGroup() as group:
                starting = [group.create_task(self._start()) for _ in range(self._processes)]
        except* EngineError as failures:
            raise _first(failures) from None
        return [task.result() for task in starting]

    async def _start(self) -> PooledEngine:
        engine = await PooledEngine.start(self._name, python=self._python, start_s=self._start_s, stall_s=self._stall_s)
        self._engines.add(engine)
        return engine

    async def _keep(self, engine: PooledEngine) -> None:
        """Keep one place of the pool filled, until cancelled."""
        backoff = Backoff(*_BACKOFF_S)
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            self._offer(engine)
            status = await engine.ended()
            self._engines.discard(engine)
            with contextlib.suppress(ValueError):
                self._free.remove(engine)
            self._log.warning("engine process ended, starting another", pid=engine.pid, status=status)
            if loop.time() - born >= _LIVED_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())
            engine = await self._replace(backoff)
            self.restarts += 1

    async def _replace(self, backoff: Backoff) -> PooledEngine:
        while True:
            try:
                return await self._start()
            except EngineError as exc:
                wait_s = backoff.next_s()
                self._log.error("engine does not start", problem=str(exc), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _close_all(self) -> None:
        engines, self._engines = self._engines, set()
        async with asyncio.TaskGroup() as group:
            for engine in engines:
                group.create_task(engine.close())


def _first(failures: BaseExceptionGroup[EngineError]) -> EngineError:
    """One of the errors of a group, however deep."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
