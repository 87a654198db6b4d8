"""A pool of engine processes and their slots. A slot speaks one sentence at a time; the most urgent task gets the next.

A crash, a hang or a busy GIL of an engine does not block the event loop. Only the sentences in that process fail, and
the pool starts a new process and warms it up before use. The processes end with the pool, and also when this process
ends in any way (`worker.py`).

A process that has spoken nothing for `limits.canary_s` speaks a canary, and is replaced if it cannot (`canary`).

A pool keeps one EngineInfo for its lifetime, because sample rates, cache keys and the `start` messages depend on it. If
a new process reports another EngineInfo (voices, models or settings have changed), the pool does not use it. `changed`
returns then, and the owner closes the pool and enters a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self

from structlog.typing import FilteringBoundLogger

from orastream.base.backoff import Backoff
from orastream.service import memory
from services.synth.engine_pool.canary import CanaryResult
from services.synth.engine_pool.canary_watch import CanaryWatch
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engine_pool.process import MIB, PooledEngine, ProcessLimits
from services.synth.engine_pool.slot import Slot
from services.synth.engine_pool.slot_scheduler import SlotScheduler, shares
from services.synth.engine_pool.starter import ProcessStarter
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
        """Number of processes that were started to replace one that died, hung or no longer spoke."""
        self.replaced = 0
        """Number of processes that were started to replace one that had too much memory."""
        self.canaries: Counter[CanaryResult] = Counter()
        """Number of canaries that have ended, by result."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when a process begins or ceases to take sentences, so that `lacking` may have changed."""
        self._slots = slots
        self._log = log.bind(engine=engine_name)
        self._starter = ProcessStarter(engine_name, python=python, default_voice=default_voice, limits=limits)
        self._open: dict[PooledEngine, CanaryWatch] = {}
        """The processes that take sentences."""
        self._problems: dict[int, str] = {}
        """Why a process is being replaced, by the number of its `_keep` task."""
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
        assert self._starter.info is not None, "the pool was not entered"
        return self._starter.info

    @property
    def alive(self) -> int:
        """Number of processes that can speak; lower while some are being replaced."""
        return sum(engine.alive for engine in self._starter.engines)

    @property
    def pids(self) -> list[int]:
        """Process ids of the processes that can speak."""
        return [engine.pid for engine in self._starter.engines if engine.alive]

    def lacking(self) -> str | None:
        """Why no process can speak now, or None.

        One can if it takes sentences: it has spoken within `canary_s`, or speaks now and has `stall_s` for it, or it is
        replaced. So the age of its last audio does not count, which would be old after a pause of this process.
        """
        found = [*self._problems.values(), *(engine.problem for engine in self._open)]
        problems = "; ".join(dict.fromkeys(filter(None, found)))  # none: the pool has just been entered
        if not problems or any(engine.takes_sentences for engine in self._open):
            return None
        return f"no engine process can speak: {problems}; starting another"

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close_all)
            first = await self._starter.first()
            of_each = shares(self._slots, first.info.at_once, first.info.scales)
            engines = [first, *await self._starter.more(len(of_each) - 1)]
            await self._tasks.__aenter__()
            self._keepers = [
                self._tasks.create_task(self._keep(number, engine, slots))
                for number, (engine, slots) in enumerate(zip(engines, of_each, strict=True))
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
        due_s = asyncio.get_running_loop().time() if due_s is None else due_s
        engine = await self._slot_in(lambda waiter: self._scheduler.ask(waiter, due_s))
        with self._held(engine) as slot:
            yield slot

    @contextlib.asynccontextmanager
    async def _acquire_for_canary(self, engine: PooledEngine) -> AsyncIterator[Slot]:
        """As `acquire`, for a slot of that process."""
        await self._slot_in(lambda waiter: self._scheduler.ask_canary(waiter, engine))
        with self._held(engine) as slot:
            yield slot

    @contextlib.contextmanager
    def _held(self, engine: PooledEngine) -> Iterator[Slot]:
        slot = Slot(engine, lambda: self._release(engine))
        try:
            yield slot
        finally:
            slot.leave()

    async def _slot_in(self, ask: Callable[[asyncio.Future[PooledEngine]], None]) -> PooledEngine:
        while True:
            waiter: asyncio.Future[PooledEngine] = asyncio.get_running_loop().create_future()
            ask(waiter)
            self._pair()
            try:
                engine = await waiter
            except asyncio.CancelledError:
                if not self._scheduler.leave(waiter) and not waiter.cancelled() and waiter.exception() is None:
                    self._release(waiter.result())  # cancelled after it got a slot, before it woke up
                raise
            if engine.takes_sentences:
                return engine
            self._retire(engine)  # it ended or failed just now, and its `_keep` task has not run yet
            self._release(engine)

    def _pair(self) -> None:
        """Give free slots to the tasks that wait, and stop canaries for those that get none."""
        for engine in self._open:
            if engine.proof.doubted:
                self._scheduler.hurry(engine)
        while (pair := self._scheduler.pair()) is not None:
            waiter, engine = pair
            if waiter.done():  # cancelled, but its task has not run yet
                self._release(engine)
            else:
                waiter.set_result(engine)
        wanted = self._scheduler.waiting
        for watch in self._open.values():
            if wanted > 0 and watch.stop():
                wanted -= 1

    def _release(self, engine: PooledEngine) -> None:
        if self._scheduler.release(engine):
            self._close_later(engine)
        else:
            engine.check_memory()
        self._pair()

    def _retire(self, engine: PooledEngine) -> None:
        """Give it no more sentences, and close it after those that it speaks."""
        if self._open.pop(engine, None) is not None:
            self.on_change()
        if self._scheduler.retire(engine):
            self._close_later(engine)

    def _close_later(self, engine: PooledEngine) -> None:
        if not self._closing:
            self._tasks.create_task(self._close(engine))

    async def _close(self, engine: PooledEngine) -> None:
        status = await engine.close()
        self._starter.engines.discard(engine)
        self._log.info("engine process ended", pid=engine.pid, status=status)

    @contextlib.contextmanager
    def _opened(self, engine: PooledEngine, slots: int) -> Iterator[None]:
        """The process takes sentences, and speaks canaries until the end of the block."""
        watch = CanaryWatch(engine, lambda: self._acquire_for_canary(engine), self.canaries, self._pair)
        self._scheduler.open(engine, slots)
        self._open[engine] = watch
        self._pair()
        self.on_change()
        canaries = self._tasks.create_task(watch.run()) if engine.proof.enabled else None
        try:
            yield
        finally:
            if canaries is not None:
                canaries.cancel()

    async def _keep(self, number: int, engine: PooledEngine, slots: int) -> None:
        """Keep process `number` running until cancelled: replace it whenever its `to_replace` is done."""
        backoff, loop = Backoff(*_BACKOFF_S), asyncio.get_running_loop()
        while True:
            born = loop.time()
            with self._opened(engine, slots):
                why = await asyncio.shield(engine.to_replace)
            self._problems[number] = engine.problem
            log = self._log.bind(pid=engine.pid, why=why)
            if why == "too large":  # it still speaks until the new one is ready
                held_mb = memory.resident_bytes(engine.pid) // MIB
                log.info("engine process is too large, starting another", held_mb=held_mb)
            else:
                log.warning("engine process ended, starting another", problem=engine.problem)
                self._retire(engine)
            if loop.time() - born >= _LIVED_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())
            try:
                async with self._growing if why == "too large" else contextlib.nullcontext():
                    successor = await self._replace(number, backoff)
            except EngineChanged as exc:
                self._change = exc
                self._has_changed.set()
                return
            self._retire(engine)
            self._problems.pop(number)
            if why == "too large":
                self.replaced += 1
            else:
                self.restarts += 1
            engine = successor

    async def _replace(self, number: int, backoff: Backoff) -> PooledEngine:
        while True:
            try:
                return await self._starter.one()
            except EngineChanged:
                raise
            except EngineError as exc:
                wait_s = backoff.next_s()
                self._problems[number] = f"the engine does not start: {exc}"
                self._log.error("engine does not start", problem=str(exc), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _close_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            while self._starter.engines:
                group.create_task(self._starter.engines.pop().close())
