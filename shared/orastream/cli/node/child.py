"""A child process: it cannot outlive this one, writes to a log file, and ends politely, then by force."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from orastream.cli.node import pdeathsig
from orastream.cli.node.logfile import LogFile


class Child:
    """One started process, the leader of a process group of its own.

    Its own group, because Ctrl-C in a terminal goes to the whole group of the foreground: who ends first is decided
    here, not by the terminal.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], log: LogFile) -> Self:
        """Start it; stdout and stderr go to `log`. A command that does not exist exits with 127."""
        on_leash = (sys.executable, "-I", "-S", str(Path(pdeathsig.__file__)), str(os.getpid()), *command)
        with log.opened() as output:
            process = await asyncio.create_subprocess_exec(
                *on_leash, env=dict(env), stdin=DEVNULL, stdout=output, stderr=STDOUT, start_new_session=True
            )
        return cls(process)

    async def wait(self) -> int:
        """Its exit code, negative for a signal; whatever it started itself is killed then. Cancel-safe."""
        code = await self._process.wait()
        self.kill()
        return code

    def kill(self) -> None:
        """Kill its whole group now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self, grace_s: float) -> int:
        """SIGTERM, and SIGKILL to the group after `grace_s`; gives the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()


def describe_exit(code: int) -> str:
    """`exit code 1`, `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
