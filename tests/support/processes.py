"""Child processes of tests: starts, checks, stops, kills and freezes them by pid. Their output goes to a file.

A `Process` is not bound to an event loop, so fixtures of any scope may have it. All waits have a timeout.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from orastream.cli.node import pdeathsig
from tests.support.forks import Child

START_S = 60.0
STOP_S = 15.0
POLL_S = 0.05

Logs = dict[str, Path]
"""The log file of each process of a test, by name; shown when the test fails."""


class ProcessFailed(AssertionError):
    """A process did not become ready or has ended too early. The message has the end of its log."""


_returned_ports: set[int] = set()
_PORTS = range(18_000, 32_000)


def free_port() -> int:
    """A free loopback port that no other call in this test run has returned, in any worker.

    It is below the kernel's range for outgoing connections, so it is still free when a service is restarted.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.choice(_PORTS[worker::workers])
        if port in _returned_ports:
            continue
        _returned_ports.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, timeout_s: float = 10.0, poll_s: float = POLL_S
) -> None:
    """Return as soon as `condition` is true. Raises AssertionError with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(poll_s)


class Process:
    """One child process. After its end it can be started again with the same command."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._argv = [str(word) for word in argv]
        self._env = dict(env)
        self._cwd = cwd
        self._child: Child | None = None

    # ---- state

    @property
    def pid(self) -> int:
        """The pid of the child, running or ended."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process runs (also if it is frozen)."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code; negative for a signal, None while it runs."""
        return None if self._child is None else self._child.poll()

    def text(self) -> str:
        """All output, of all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def failed(self, what: str) -> ProcessFailed:
        """The exception for the caller to raise, with the end of the log."""
        return ProcessFailed(f"{self.name} {what} (exit code {self.returncode}):\n{self.text()[-3000:]}")

    # ---- starting

    def launch(self) -> None:
        """Start the process and return at once. Call it in the main thread: the child is killed when its thread ends.

        A test run that is killed leaves no process.
        """
        assert not self.running, f"{self.name} runs already"
        self._child = self._started()

    def _started(self) -> Child:
        guarded = [sys.executable, "-I", "-S", pdeathsig.__file__, str(os.getpid()), *self._argv]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                guarded, env=self._env, cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def until_ready(self, ready: Callable[[], Awaitable[bool]], timeout_s: float = START_S) -> None:
        """Wait until `ready` is true. Raises ProcessFailed if the process ends first, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not await ready():
            if not self.running:
                raise self.failed("ended before it was ready")
            if time.monotonic() > deadline:
                raise self.failed(f"was not ready within {timeout_s:g} s")
            await asyncio.sleep(POLL_S)
        if not self.running:
            raise self.failed("is not what answers on its port: it ended")

    # ---- ending

    def kill(self) -> None:
        """Send SIGKILL and wait for the end. May be called at any time."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait(STOP_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._child is not None
        self._child.send_signal(number)

    def freeze(self) -> None:
        """Send SIGSTOP: the process stands still until `thaw`; its connections stay open."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        self.signal(signal.SIGCONT)

    async def ended(self, timeout_s: float = STOP_S) -> int:
        """Wait for the end and return the exit code. Raises ProcessFailed after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while (code := self.returncode) is None:
            if time.monotonic() > deadline:
                raise self.failed(f"did not end within {timeout_s:g} s")
            await asyncio.sleep(POLL_S)
        return code

    async def stop(self, timeout_s: float = STOP_S) -> int:
        """Send SIGTERM and return the exit code. After `timeout_s`: sends SIGKILL and raises ProcessFailed."""
        if self.running:
            self.signal(signal.SIGTERM)
        try:
            return await self.ended(timeout_s)
        except ProcessFailed:
            self.kill()
            raise
