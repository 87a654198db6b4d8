"""Starts processes, waits until they accept work, restarts them when they die, and drains them in order."""

from __future__ import annotations

import asyncio
import signal
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
"""After a process has run this long, the wait before its next restart is the shortest again."""
MAX_DEATHS_AT_START = 4
CANNOT_START = 2
"""The exit code of a service with invalid settings: a restart would end in the same way."""
LAST_LINES = 12


class NotStarted(OrastreamError):
    """A process of the node did not start; the message ends with the last lines of its log."""

    def __init__(self, name: str, what: str, log: LogFile) -> None:
        lines = "".join(f"\n  {line}" for line in log.last_lines(LAST_LINES))
        super().__init__(f"{name} {what}; {log.path} ends with:{lines or ' nothing'}")
        self.name = name


@dataclass(frozen=True, slots=True)
class NodePart:
    """A process of the node: how to start it, how to check that it accepts work, and when to drain it."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    lacks: Callable[[], Awaitable[str | None]] = field(repr=False)
    """Returns what it lacks to accept work, or None. Must return within seconds and must not raise."""
    stage: int = 0
    """All parts of a lower stage have ended before those of a higher stage get SIGTERM."""
    grace_s: float = 12.0
    """Seconds between SIGTERM and SIGKILL."""
    url: str | None = None
    """The URL that is shown to users."""
    health_url: str | None = None
    cwd: Path | None = None
    """The directory in which it runs; None: that of this process."""
    files: Mapping[Path, str] = field(default_factory=dict, repr=False)
    """Files that it reads, and their text; written before each start."""

    def write_files(self) -> None:
        """Write `files`, each whole or not at all. One that has its text already needs no room on a full disk.

        Raises OSError.
        """
        for path, text in self.files.items():
            if not path.is_file() or path.read_bytes() != text.encode():
                path.parent.mkdir(parents=True, exist_ok=True)
                new = path.with_name(f"{path.name}.new")
                new.write_bytes(text.encode())
                new.replace(path)


class State(Enum):
    """The state of a supervised process."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "died, starts again soon"
    HELD = "killed, starts again when it is released"
    STOPPED = "stopped"


OnChange = Callable[["PartKeeper", str], None]
"""Called on every change of state, with a sentence for users (empty when there is nothing to print)."""


class PartKeeper:
    """Keeps one process running. `run()` ends after `stop()`."""

    def __init__(self, part: NodePart, log: LogFile, on_change: OnChange) -> None:
        self.part = part
        self.log = log
        self.state = State.STARTING
        self.pid: int | None = None
        self.restarts = 0
        self.lacks = "not started yet"
        self.ever_ready = False
        self.hopeless: NotStarted | None = None
        """Set when the process died before it was ever ready, and a restart would not help."""
        self._on_change = on_change
        self._child: Child | None = None
        self._stopping = False
        self._held = False
        self._interrupt = asyncio.Event()

    def stop(self) -> None:
        """Make `run()` end the process and return."""
        self._stopping = True
        self._interrupt.set()

    def start_again(self, env: Mapping[str, str]) -> None:
        """Restart the process with these variables changed; `state` is STARTING until it is ready again."""
        self.part = replace(self.part, env={**self.part.env, **env})
        self._set(State.STARTING)
        self._interrupt.set()

    def hold(self) -> None:
        """Kill the process, and do not start it again before `release`."""
        self._held = True
        self.kill()
        self._interrupt.set()

    def release(self) -> bool:
        """Start the process that `hold` has killed; `state` is STARTING until it is ready. False if there is none."""
        if not self._held:
            return False
        self._held = False
        self._set(State.STARTING)
        self._interrupt.set()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs. One that dies of it is started again."""
        if self._child is not None:
            self._child.signal(number)

    def kill(self) -> None:
        """Kill the process now, without waiting for `grace_s`."""
        if self._child is not None:
            self._child.kill()

    async def run(self) -> None:
        """Start the process, and restart it when it ends, until `stop()` or until it is `hopeless`."""
        backoff = Backoff(0.2, 5.0)
        deaths = 0
        while not self._stopping:
            if self._held:
                self._set(State.HELD)
                await self._interrupt.wait()
                self._interrupt.clear()
                continue
            self._set(State.STARTING)
            began = time.monotonic()
            try:
                code = await self._run_once()
                problem = f"ended ({describe_exit(code)})"
            except OSError as exc:
                code, problem = None, f"cannot be started ({exc})"
            if self._interrupt.is_set():
                self._interrupt.clear()
                continue
            deaths += 1
            if not self.ever_ready and (code == CANNOT_START or deaths >= MAX_DEATHS_AT_START):
                self.hopeless = NotStarted(self.part.name, problem, self.log)
                break
            if time.monotonic() - began > STEADY_S:
                backoff.reset()
            self.restarts += 1
            wait_s = backoff.next_s()
            self._set(State.WAITING, f"{self.part.name} {problem}; starts again in {wait_s:.1f} s")
            await self._pause(wait_s)
        self._set(State.STOPPED)

    async def _run_once(self) -> int:
        """Start the process and return its exit code. Raises OSError when it cannot be started."""
        self.part.write_files()
        self._child = child = await Child.start(self.part.command, self.part.env, self.log, self.part.cwd)
        self.pid = child.pid
        try:
            return await self._attend(child)
        finally:
            child.kill()
            self.pid = self._child = None

    async def _attend(self, child: Child) -> int:
        """Wait until the process ends, or end it after `stop()` or `start_again()`; returns the exit code."""
        ended = asyncio.create_task(child.wait())
        interrupted = asyncio.create_task(self._interrupt.wait())
        probe = asyncio.create_task(self._watch_start())
        try:
            await asyncio.wait({ended, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return ended.result()
            probe.cancel()
            return await child.end(self.part.grace_s)
        finally:
            for task in (ended, interrupted, probe):
                task.cancel()
            await asyncio.gather(ended, interrupted, probe, return_exceptions=True)

    async def _watch_start(self) -> None:
        while (lacks := await self.part.lacks()) is not None:
            if lacks != self.lacks:
                self.lacks = lacks
                self._on_change(self, "")
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
            self._on_change(self, sentence)


class Supervisor:
    """`async with Supervisor(parts, logs) as node:` starts the processes, and at the end drains them stage by stage."""

    def __init__(
        self, parts: Sequence[NodePart], logs: Path, on_change: OnChange = lambda _keeper, _sentence: None
    ) -> None:
        """`logs` is a directory, in which each part writes to `<name>.log`."""
        self._changed = asyncio.Event()
        self._on_change = on_change
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
        finally:  # if the drain is cancelled, cancelling `run()` kills the remaining processes
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def kill(self) -> None:
        """Kill all remaining processes now."""
        for keeper in self.keepers:
            keeper.kill()

    def keeper(self, name: str) -> PartKeeper:
        """The keeper of the part with this name. Raises KeyError."""
        return {keeper.part.name: keeper for keeper in self.keepers}[name]

    async def ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Return when all parts accept work. Raises NotStarted when one cannot start, or after `within_s` seconds."""
        try:
            async with asyncio.timeout(within_s):
                while not all(keeper.state is State.READY for keeper in self.keepers):
                    for keeper in self.keepers:
                        if keeper.hopeless is not None:
                            raise keeper.hopeless
                        if self._tasks[keeper].done():
                            self._tasks[keeper].result()  # raises an error in `run()` itself
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            late = next(keeper for keeper in self.keepers if keeper.state is not State.READY)
            what = f"is not ready after {within_s:g} s ({late.lacks or late.state.value})"
            raise NotStarted(late.part.name, what, late.log) from None

    def _tell(self, keeper: PartKeeper, sentence: str) -> None:
        self._changed.set()
        self._on_change(keeper, sentence)
