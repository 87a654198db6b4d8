"""A pool of engine processes, and its places: one sentence at a time each, given to whom they are most urgent for.

A crash, a hang or a busy GIL of an engine never touches the loop: it costs the sentences that were being spoken in that
process, and the pool starts another one, warm before it is used. The processes end with the pool, and with this process
however it ends (`worker.py`).

A pool has one EngineInfo for as long as it lives: rates, the names of kept sentences and the `start` of utterances come
from it. A process that is another engine by now (its voices, models or settings were changed meanwhile) takes over from
none: the pool says so, and whoever runs it ends it and enters a new one.
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
from services.synth.engine_pool import memory
from services.synth.engine_pool.process import EngineInfo, PooledEngine
from services.synth.engine_pool.slot import Slot
from services.synth.engine_pool.slot_scheduler import SlotScheduler, shares
from services.synth.engines.base import EngineChanged, EngineError

START_S = 300.0
"""A model may take this long to load."""
STALL_S = 20.0
"""An engine that gives no sign of life for this long in mid-sentence is killed."""

_LIVED_S = 30.0  # a process that lived as long as this is replaced at once
_BACKOFF_S = (0.1, 10.0)
_MB = 1 << 20


class EnginePool:
    """Engines of one kind with `slots` places in all, as `async with`; how many processes that takes, they say.

    Entering starts them all, the first one before the others, and raises EngineError when one does not start, or is not
    the engine that the first one is.
    Afterwards one that dies is replaced, after a growing wait when it died young. `python` is the interpreter that has
    the engine installed (None: this one); `default_voice` is one that the engine must have. A process that holds more
    than `max_memory_mb` after a sentence is replaced, too: by one that is ready before it takes no more sentences.
    """

    def __init__(
        self,
        engine_name: str,
        slots: int,
        *,
        log: FilteringBoundLogger,
        python: str | None = None,
        default_voice: str | None = None,
        max_memory_mb: int | None = None,
        stall_s: float = STALL_S,
        start_s: float = START_S,
    ) -> None:
        if slots < 1:
            raise ValueError("a pool has at least one place")
        self.restarts = 0
        """Processes that were started in the place of another."""
        self._name = engine_name
        self._slots = slots
        self._python = python
        self._default_voice = default_voice
        self._max_memory_mb = max_memory_mb
        self._stall_s, self._start_s = stall_s, start_s
        self._log = log.bind(engine=engine_name)
        self._info: EngineInfo | None = None
        self._engines: set[PooledEngine] = set()
        self._places: SlotScheduler[PooledEngine, asyncio.Future[PooledEngine]] = SlotScheduler()
        self._growing = asyncio.Lock()  # processes beside those that they replace: one at a time
        self._tasks = asyncio.TaskGroup()
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = False
        self._change: EngineChanged | None = None
        self._has_changed = asyncio.Event()

    async def changed(self) -> EngineChanged:
        """Waits until a process was refused since it is another engine, and says in what. What speaks speaks on.

        No process is started any more in the place of that one: end the pool, and enter a new one.
        """
        await self._has_changed.wait()
        assert self._change is not None, "it says in what"
        return self._change

    @property
    def info(self) -> EngineInfo:
        """What the engine says about itself. Only once the pool was entered."""
        assert self._info is not None, "the pool was not entered"
        return self._info

    @property
    def alive(self) -> int:
        """Engines that can speak or are speaking now; fewer than usual while some are being replaced."""
        return sum(engine.alive for engine in self._engines)

    @property
    def pids(self) -> list[int]:
        """Process ids of the engines that can speak or are speaking now."""
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
                self._tasks.create_task(self._keep(engine, places))
                for engine, places in zip(engines, of_each, strict=True)
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
            for waiter in self._places.clear():
                if not waiter.done():
                    waiter.set_exception(EngineError("the engine pool is closed"))
            await self._close_all()

    @contextlib.asynccontextmanager
    async def acquire(self, due_s: float | None = None) -> AsyncIterator[Slot]:
        """A place in an engine for as long as the block lasts; waits in line for one.

        `due_s`, by the loop's clock, is from when on it is urgent (None: now): who is due first comes first. However
        the block ends, what is spoken is stopped, and the place goes to the next in line as soon as it has.
        """
        engine = await self._place_in(asyncio.get_running_loop().time() if due_s is None else due_s)
        place = Slot(engine, lambda: self._release(engine))
        try:
            yield place
        finally:
            place.leave()

    async def _place_in(self, due_s: float) -> PooledEngine:
        while True:
            waiter: asyncio.Future[PooledEngine] = asyncio.get_running_loop().create_future()
            self._places.ask(waiter, due_s)
            self._pair()
            try:
                engine = await waiter
            except asyncio.CancelledError:
                if not self._places.leave(waiter) and not waiter.cancelled() and waiter.exception() is None:
                    self._release(waiter.result())  # cancelled between being given a place and waking up
                raise
            if engine.alive:
                return engine
            self._retire(engine)  # it died just now, and its keeper does not know it yet
            self._release(engine)

    def _pair(self) -> None:
        """Give free places to who waits for one."""
        while (pair := self._places.pair()) is not None:
            waiter, engine = pair
            if waiter.done():  # cancelled, and not awake yet
                self._release(engine)
            else:
                waiter.set_result(engine)

    def _release(self, engine: PooledEngine) -> None:
        if self._places.release(engine):
            self._see_off(engine)
        elif self._max_memory_mb is not None and memory.resident_bytes(engine.pid) > self._max_memory_mb * _MB:
            engine.outgrown()
        self._pair()

    def _retire(self, engine: PooledEngine) -> None:
        """No more sentences for it; it ends after those that it speaks."""
        if self._places.retire(engine):
            self._see_off(engine)

    def _see_off(self, engine: PooledEngine) -> None:
        if not self._closing:
            self._tasks.create_task(self._close(engine))

    async def _close(self, engine: PooledEngine) -> None:
        status = await engine.close()
        self._engines.discard(engine)
        self._log.info("engine process ended", pid=engine.pid, status=status)

    def _check_memory(self, engine: PooledEngine) -> None:
        """Raises SettingsError for a limit below what the engine needs at least."""
        limit = self._max_memory_mb
        if limit is None:
            return
        if not memory.SUPPORTED:
            raise SettingsError("ENGINE_MAX_MEMORY_MB: needs /proc, which this system does not have; leave it out")
        needs = memory.resident_bytes(engine.pid) / _MB
        if needs >= limit:
            raise SettingsError(
                f"ENGINE_MAX_MEMORY_MB: {limit} is less than engine {self._name!r} needs to begin with "
                f"({needs:.0f} MB); raise it well above, or leave it out"
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
            self._name,
            python=self._python,
            default_voice=self._default_voice,
            start_s=self._start_s,
            stall_s=self._stall_s,
        )
        self._engines.add(engine)
        if self._info is not None and (names := self._info.differences(engine.info)):
            await self._close(engine)
            raise EngineChanged(
                f"engine {self._name!r} is not what it was when its first process started: {', '.join(names)}"
            )
        return engine

    async def _keep(self, engine: PooledEngine, places: int) -> None:
        """Keep one process of the pool running, until cancelled."""
        backoff = Backoff(*_BACKOFF_S)
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            self._places.open(engine, places)
            self._pair()
            why = await asyncio.shield(engine.outlived)
            if why == "too large":  # it works on until the other is ready
                held_mb = memory.resident_bytes(engine.pid) // _MB
                self._log.warning("engine process is too large, starting another", pid=engine.pid, held_mb=held_mb)
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
    """One of the errors of a group, however deep."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
