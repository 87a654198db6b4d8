"""Starts the processes of one pool: all have the same limits, and report the same engine."""

from __future__ import annotations

import asyncio

from orastream.contract.errors import SettingsError
from orastream.service import memory
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engine_pool.process import MIB, PooledEngine, ProcessLimits
from services.synth.engines.base import EngineChanged, EngineError


class ProcessStarter:
    """Starts processes of one engine. `engines` are those that it has started and the pool has not closed."""

    def __init__(
        self, engine_name: str, *, python: str | None, default_voice: str | None, limits: ProcessLimits
    ) -> None:
        """For the parameters see `EnginePool`."""
        self.info: EngineInfo | None = None
        """The EngineInfo of the first process; None before."""
        self.engines: set[PooledEngine] = set()
        self._name = engine_name
        self._python = python
        self._default_voice = default_voice
        self._limits = limits

    async def first(self) -> PooledEngine:
        """Starts the first process. Raises EngineError, or SettingsError for a memory limit below its needs."""
        engine = await self.one()
        self.info = engine.info
        self._check_memory(engine)
        return engine

    async def more(self, count: int) -> list[PooledEngine]:
        """Starts `count` processes at the same time. Raises the first EngineError."""
        try:
            async with asyncio.TaskGroup() as group:
                starting = [group.create_task(self.one()) for _ in range(count)]
        except* EngineError as failures:
            raise _first(failures) from None
        return [task.result() for task in starting]

    async def one(self) -> PooledEngine:
        """Starts a process. Cancelled, it ends the process. Raises EngineError, EngineChanged."""
        engine = await PooledEngine.start(
            self._name, python=self._python, limits=self._limits, default_voice=self._default_voice
        )
        self.engines.add(engine)
        if self.info is not None and (names := self.info.differences(engine.info)):
            await engine.close()
            self.engines.discard(engine)
            raise EngineChanged(
                f"engine {self._name!r} has changed since its first process started: {', '.join(names)}"
            )
        return engine

    def _check_memory(self, engine: PooledEngine) -> None:
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


def _first(failures: BaseExceptionGroup[EngineError]) -> EngineError:
    """Returns the first error of a group, also of a nested one."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
