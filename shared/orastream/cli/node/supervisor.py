"""Processes kept running: started, watched until they accept work, started again when they die, drained in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from orastream.base.backoff import Backoff
from orastream.cli.node.child import Child, describe_exit
from orastream.cli.node.logfile import LogFile
from orastream.contract.errors import OrastreamError

PROBE_EVERY_S = 0.1
READY_WITHIN_S = 60.0
STEADY_S = 10.0
"""A process that ran that long had started well: its next restart waits as little as the first."""
MAX_DEATHS_AT_START = 4
CANNOT_START = 2
"""The exit code of a service whose settings make no sense: another start would end in the same way."""
LAST_LINES = 12


class NotStarted(OrastreamError):
    """A process of the node did not come up; the message ends with the last lines of its log."""

    def __init__(self, name: str, what: str, log: LogFile) -> None:
        lines = "".join(f"\n  {line}" for line in log.last_lines(LAST_LINES))
        super().__init__(f"{name} {what}; {log.path} ends with:{lines or ' nothing'}")
        self.name = name


@dataclass(frozen=True, slots=True)
class NodePart:
    """A process of the node: how to start it, how to see that it accepts work, and when it may go."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    lacks: Callable[[], Awaitable[str | None]] = field(repr=False)
    """What it still lacks to accept work, None when nothing; must answer within seconds and not raise."""
    stage: int = 0
    """Parts of a lower stage are drained before those of a higher one are told to end."""
    grace_s: float = 12.0
    """Between SIGTERM and SIGKILL."""
    url: str | None = None
    """Where it tells of itself, for people."""
    health_url: str | None = None


class State(Enum):
    """What a process is doing."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "died, starts again soon"
    STOPPED = "stopped"


Tell = Callable[["PartKeeper", str], None]
"""Told of every change of state, with a sentence for people (empty when there is nothing to say)."""


class PartKeeper:
    """Keeps one part running. `run()` ends after `stop()`."""

    def __init__(self, part: NodePart, log: LogFile, tell: Tell) -> None:
        self.part = part
        self.log = log
        self.state = State.STARTING
        self.pid: int | None = None
        self.restarts = 0
        self.lacks = "not started yet"
        self.ever_ready = False
        self.hopeless: NotStarted | None = None
        """Set when it died before it ever was ready, in a way that another start does not mend."""
        self._tell = tell
        self._child: Child | None = None
        self._stopping = False
        self._interrupt = asyncio.Event()

    def stop(self) -> None:
        """Have `run()` end the process and return."""
        self._stopping = True
        self._interrupt.set()

    def start_again(self, env: Mapping[str, str]) -> None:
        """End the process and start it with these variables changed; `state` is STARTING until it is ready again."""
        self.part = replace(self.part, env={**self.part.env, **env})
        self._set(State.STARTING)
        self._interrupt.set()

    def kill(self) -> None:
        """Do not wait for its grace any longer."""
        if self._child is not None:
            self._child.kill()

    async def run(self) -> None:
        """Start it, again and again, until told to stop."""
        backoff = Backoff(0.2, 5.0)
        deaths = 0
        while not self._stopping:
            self._set(State.STARTING)
            began = time.monotonic()
            self._child = child = await Child.start(self.part.command, self.part.env, self.log)
            self.pid = child.pid
            try:
                code = await self._attend(child)
            finally:
                child.kill()
                self.pid = self._child = None
            if self._interrupt.is_set():
                self._interrupt.clear()
                continue
            deaths += 1
            if not self.ever_ready and (code == CANNOT_START or deaths >= MAX_DEATHS_AT_START):
                self.hopeless = NotStarted(self.part.name, f"ended ({describe_exit(code)})", self.log)
                break
            if time.monotonic() - began > STEADY_S:
                backoff.reset()
            self.restarts += 1
            wait_s = backoff.next_s()
            self._set(State.WAITING, f"{self.part.name} ended ({describe_exit(code)}); starts again in {wait_s:.1f} s")
            await self._pause(wait_s)
        self._set(State.STOPPED)

    async def _attend(self, child: Child) -> int:
        """Watch it until it ends by itself, or end it when told to; gives the exit code."""
        ended = asyncio.create_task(child.wait())
        told = asyncio.create_task(self._interrupt.wait())
        probe = asyncio.create_task(self._watch_start())
        try:
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return ended.result()
            probe.cancel()
            return await child.end(self.part.grace_s)
        finally:
            for task in (ended, told, probe):
                task.cancel()
            await asyncio.gather(ended, told, probe, return_exceptions=True)

    async def _watch_start(self) -> None:
        while (lacks := await self.part.lacks()) is not None:
            if lacks != self.lacks:
                self.lacks = lacks
                self._tell(self, "")
            await asyncio.sleep(PROBE_EVERY_S)
        self.lacks = ""
        again = f"{self.part.name} is ready again (pid {self.pid})" if self.ever_ready else ""
        self.ever_ready = True
        self._set(State.READY, again)

    async def _pause(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._interrupt.wait()
            self._interrupt.clear()
        except TimeoutError:
            pass

    def _set(self, state: State, sentence: str = "") -> None:
        if state is not self.state:
            self.state = state
            if state is State.STARTING:
                self.lacks = "starting"
            self._tell(self, sentence)


class Supervisor:
    """`async with Supervisor(parts, logs) as node:` starts the parts; at the end they are drained, stage by stage."""

    def __init__(self, parts: Sequence[NodePart], logs: Path, tell: Tell = lambda _keeper, _sentence: None) -> None:
        """`logs` is a directory: each part writes to `<name>.log` in it."""
        self._changed = asyncio.Event()
        self._told = tell
        self.keepers = [PartKeeper(part, LogFile(logs / f"{part.name}.log"), self._tell) for part in parts]
        self._tasks: dict[PartKeeper, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        for keeper in self.keepers:
            keeper.log.skip()
            task = asyncio.create_task(keeper.run(), name=f"keep {keeper.part.name}")
            task.add_done_callback(lambda _task: self._changed.set())
            self._tasks[keeper] = task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for stage in sorted({keeper.part.stage for keeper in self.keepers}):
                leaving = [keeper for keeper in self.keepers if keeper.part.stage == stage]
                for keeper in leaving:
                    keeper.stop()
                await asyncio.wait([self._tasks[keeper] for keeper in leaving])
        finally:  # also when cancelled in the middle: `run()` kills on its way out
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def kill(self) -> None:
        """Whoever still drains is killed now."""
        for keeper in self.keepers:
            keeper.kill()

    def keeper(self, name: str) -> PartKeeper:
        """The keeper of the part of that name. Raises KeyError."""
        return {keeper.part.name: keeper for keeper in self.keepers}[name]

    async def ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Return when every part accepts work. Raises NotStarted for the first that cannot, or after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while not all(keeper.state is State.READY for keeper in self.keepers):
                    for keeper in self.keepers:
                        if keeper.hopeless is not None:
                            raise keeper.hopeless
                        if self._tasks[keeper].done():
                            self._tasks[keeper].result()  # an error of ours, not of the process
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            late = next(keeper for keeper in self.keepers if keeper.state is not State.READY)
            what = f"is not ready after {within_s:g} s ({late.lacks or late.state.value})"
            raise NotStarted(late.part.name, what, late.log) from None

    def _tell(self, keeper: PartKeeper, sentence: str) -> None:
        self._changed.set()
        self._told(keeper, sentence)
