"""A pool of engine processes and their slots. A slot speaks one sentence at a time; the most urgent task gets the next.

A crash, a hang or a busy GIL of an engine does not block the event loop. Only the sentences in that process fail, and
the pool starts a new process and warms it up before use. The processes end with the pool, and also when this process
ends in any way (`worker.py`).

A pool keeps one EngineInfo for its lifetime, because sample rates, cache keys and the `start` messages depend on it. If
a new process reports another EngineInfo (voices, models or settings have changed), the pool does not use it. `changed`
returns then, and the owner closes the pool and enters a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from structlog.typing import FilteringBoundLogger

from orastream.base.backoff import Backoff
from orastream.contract.errors import SettingsError
from orastream.service import memory
from services.synth.engine_pool.process import MIB, EngineInfo, PooledEngine, ProcessLimits
from services.synth.engine_pool.slot import Slot
from services.synth.engine_pool.slot_scheduler import SlotScheduler, shares
from services.synth.engines.base import EngineChanged, EngineError

_LIVED_S = 30.0  # a process that ran for at least this long is replaced without a delay
_BACKOFF_S = (0.1, 10.0)

DEFAULT_LIMITS = ProcessLimits()


class EnginePool:
    """Processes of one engine with `slots` slots in all, as `async with`. The engine's `at_once` and `scales` set the
    number of processes.

    Entering starts the first process, then the others. It raises EngineError if one does not start or if its EngineInfo
    differs from the first one's. Later a process that ends is replaced; if it ran only a short time, after a growing
    delay. `python` is the interpreter that has the engine installed (None: this one). `default_voice` is a voice that
    the engine must have. A process with more memory than `limits.max_memory_mb`, or than the engine's own
    `max_growth_mb` allows, is replaced, too. The old process takes sentences until the new one is ready.
    """

    def __init__(
        self,
        engine_name: str,
        slots: int,
        *,
        log: FilteringBoundLogger,
        python: str | None = None,
        default_voice: str | None = None,
        limits: ProcessLimits = DEFAULT_LIMITS,
    ) -> None:
        if slots < 1:
            raise ValueError("a pool needs at least one slot")
        self.restarts = 0
        """Number of processes that were started to replace one that died or hung."""
        self.replaced = 0
        """Number of processes that were started to replace one that had too much memory."""
        self._name = engine_name
        self._slots = slots
        self._python = python
        self._default_voice = default_voice
        self._limits = limits
        self._log = log.bind(engine=engine_name)
        self._info: EngineInfo | None = None
        self._engines: set[PooledEngine] = set()
        self._scheduler: SlotScheduler[PooledEngine, asyncio.Future[PooledEngine]] = SlotScheduler()
        self._growing = asyncio.Lock()  # for "too large": only one old and new pair at a time in memory
        self._tasks = asyncio.TaskGroup()
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = False
        self._change: EngineChanged | None = None
        self._has_changed = asyncio.Event()

    async def changed(self) -> EngineChanged:
        """Waits until a new process reports another EngineInfo, and returns the difference. Cancel-safe.

        Sentences in other processes continue. The pool does not replace that process any more: close the pool and enter
        a new one.
        """
        await self._has_changed.wait()
        assert self._change is not None, "set before the event"
        return self._change

    @property
    def info(self) -> EngineInfo:
        """The engine's EngineInfo. Only after the pool was entered."""
        assert self._info is not None, "the pool was not entered"
        return self._info

    @property
    def alive(self) -> int:
        """Number of processes that can speak; lower while some are being replaced."""
        return sum(engine.alive for engine in self._engines)

    @property
    def pids(self) -> list[int]:
        """Process ids of the processes that can speak."""
        return [engine.pid for engine in self._engines if engine.alive]

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close_all)
            first = await self._start()
            self._info = first.info
            self._check_memory(first)
            of_each = shares(self._slots, first.info.at_once, first.info.scales)
            engines = [first, *await self._start_all(len(of_each) - 1)]
            await self._tasks.__aenter__()
            self._keepers = [
                self._tasks.create_task(self._keep(engine, slots))
                for engine, slots in zip(engines, of_each, strict=True)
            ]
            stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for keeper in self._keepers:
            keeper.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            for waiter in self._scheduler.clear():
                if not waiter.done():
                    waiter.set_exception(EngineError("the engine pool is closed"))
            await self._close_all()

    @contextlib.asynccontextmanager
    async def acquire(self, due_s: float | None = None) -> AsyncIterator[Slot]:
        """Waits for a slot and holds it during the block. Cancel-safe.

        `due_s`, by the event loop's clock, is when the audio is needed (None: now); the earliest gets the next slot.
        The end of the block stops a sentence that is still being spoken. The slot is free when the engine has stopped.
        """
        engine = await self._slot_in(asyncio.get_running_loop().time() if due_s is None else due_s)
        slot = Slot(engine, lambda: self._release(engine))
        try:
            yield slot
        finally:
            slot.leave()

    async def _slot_in(self, due_s: float) -> PooledEngine:
        while True:
            waiter: asyncio.Future[PooledEngine] = asyncio.get_running_loop().create_future()
            self._scheduler.ask(waiter, due_s)
            self._pair()
            try:
                engine = await waiter
            except asyncio.CancelledError:
                if not self._scheduler.leave(waiter) and not waiter.cancelled() and waiter.exception() is None:
                    self._release(waiter.result())  # cancelled after it got a slot, before it woke up
                raise
            if engine.alive:
                return engine
            self._retire(engine)  # it ended just now, and its `_keep` task has not run yet
            self._release(engine)

    def _pair(self) -> None:
        """Give free slots to the tasks that wait."""
        while (pair := self._scheduler.pair()) is not None:
            waiter, engine = pair
            if waiter.done():  # cancelled, but its task has not run yet
                self._release(engine)
            else:
                waiter.set_result(engine)

    def _release(self, engine: PooledEngine) -> None:
        if self._scheduler.release(engine):
            self._close_later(engine)
        else:
            engine.check_memory()
        self._pair()

    def _retire(self, engine: PooledEngine) -> None:
        """Give it no more sentences, and close it after those that it speaks."""
        if self._scheduler.retire(engine):
            self._close_later(engine)

    def _close_later(self, engine: PooledEngine) -> None:
        if not self._closing:
            self._tasks.create_task(self._close(engine))

    async def _close(self, engine: PooledEngine) -> None:
        status = await engine.close()
        self._engines.discard(engine)
        self._log.info("engine process ended", pid=engine.pid, status=status)

    def _check_memory(self, engine: PooledEngine) -> None:
        """Raises SettingsError for a limit below the memory of an engine that has just started."""
        limit = self._limits.max_memory_mb
        if limit is None:
            return
        if not memory.SUPPORTED:
            raise SettingsError("ENGINE_MAX_MEMORY_MB: needs /proc, which this system lacks; remove the setting")
        needs = memory.resident_bytes(engine.pid) / MIB
        if needs >= limit:
            raise SettingsError(
                f"ENGINE_MAX_MEMORY_MB: {limit} is less than engine {self._name!r} needs after its start "
                f"({needs:.0f} MB); set a much higher limit, or remove the setting"
            )

    async def _start_all(self, count: int) -> list[PooledEngine]:
        try:
            async with asyncio.TaskGroup() as group:
                starting = [group.create_task(self._start()) for _ in range(count)]
        except* EngineError as failures:
            raise _first(failures) from None
        return [task.result() for task in starting]

    async def _start(self) -> PooledEngine:
        engine = await PooledEngine.start(
            self._name, python=self._python, limits=self._limits, default_voice=self._default_voice
        )
        self._engines.add(engine)
        if self._info is not None and (names := self._info.differences(engine.info)):
            await self._close(engine)
            raise EngineChanged(
                f"engine {self._name!r} has changed since its first process started: {', '.join(names)}"
            )
        return engine

    async def _keep(self, engine: PooledEngine, slots: int) -> None:
        """Keep one process running until cancelled: replace it whenever its `to_replace` is done."""
        backoff = Backoff(*_BACKOFF_S)
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            self._scheduler.open(engine, slots)
            self._pair()
            why = await asyncio.shield(engine.to_replace)
            if why == "too large":  # it still speaks until the new one is ready
                held_mb = memory.resident_bytes(engine.pid) // MIB
                self._log.info("engine process is too large, starting another", pid=engine.pid, held_mb=held_mb)
            else:
                self._log.warning("engine process ended, starting another", pid=engine.pid, why=why)
                self._retire(engine)
            if loop.time() - born >= _LIVED_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())
            try:
                async with self._growing if why == "too large" else contextlib.nullcontext():
                    successor = await self._replace(backoff)
            except EngineChanged as exc:
                self._change = exc
                self._has_changed.set()
                return
            self._retire(engine)
            if why == "too large":
                self.replaced += 1
            else:
                self.restarts += 1
            engine = successor

    async def _replace(self, backoff: Backoff) -> PooledEngine:
        while True:
            try:
                return await self._start()
            except EngineChanged:
                raise
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
    """Returns the first error of a group, also of a nested one."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
