"""Child processes of tests: started, watched, stopped, killed or frozen by their own pid; what they say goes to a file.

A `Process` belongs to no event loop, so fixtures of any scope may hold it. All waits are bounded.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

START_S = 60.0
STOP_S = 15.0
POLL_S = 0.05

Logs = dict[str, Path]
"""Name → file of everything a test started; shown when the test fails."""


class ProcessFailed(AssertionError):
    """A process did not become ready, or was gone when it was needed; the message quotes the end of its log."""


_given: set[int] = set()
_PORTS = range(18_000, 32_000)


def free_port() -> int:
    """A port of loopback that nobody listens on, never given before by this process, nor by another worker of the run.

    Below the range that the kernel takes for outgoing connections: a part that is restarted finds it free again.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.choice(_PORTS[worker::workers])
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, timeout_s: float = 10.0, poll_s: float = POLL_S
) -> None:
    """Return as soon as `condition` holds. Raises AssertionError saying what did not happen after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(poll_s)


class Process:
    """One child process that may be started again with the same command after it ended."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._argv = [str(word) for word in argv]
        self._env = dict(env)
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    # ---- state

    @property
    def pid(self) -> int:
        """Of the child, running or ended."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it runs (a frozen one does)."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended; negative is a signal, None while it runs."""
        return None if self._child is None else self._child.poll()

    def text(self) -> str:
        """All that it has said, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def failed(self, what: str) -> ProcessFailed:
        """The exception to raise, with the end of the log."""
        return ProcessFailed(f"{self.name} {what} (exit code {self.returncode}):\n{self.text()[-3000:]}")

    # ---- starting

    def launch(self) -> None:
        """Start it; returns at once."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._argv, env=self._env, cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def until_ready(self, ready: Callable[[], Awaitable[bool]], timeout_s: float = START_S) -> None:
        """Wait until `ready` holds. Raises ProcessFailed when it ends before, or takes longer."""
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
        """SIGKILL, and wait until it is gone. Safe to call at any time."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait(STOP_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP: it does nothing until `thaw`, and its connections stay."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    async def ended(self, timeout_s: float = STOP_S) -> int:
        """Its exit code, once it has ended. Raises ProcessFailed when it has not within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while (code := self.returncode) is None:
            if time.monotonic() > deadline:
                raise self.failed(f"did not end within {timeout_s:g} s")
            await asyncio.sleep(POLL_S)
        return code

    async def stop(self, timeout_s: float = STOP_S) -> int:
        """SIGTERM, and its exit code. Raises ProcessFailed, after SIGKILL, when it does not obey in time."""
        if self.running:
            self.signal(signal.SIGTERM)
        try:
            return await self.ended(timeout_s)
        except ProcessFailed:
            self.kill()
            raise
