"""A child process, which dies with this process, writes to a log file, and is ended by SIGTERM, then SIGKILL."""

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
    """A started process, the leader of its own process group.

    Without its own group, Ctrl-C in a terminal would end all processes at the same time, instead of stage by stage.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], log: LogFile, cwd: Path | None = None) -> Self:
        """Start it in the directory `cwd`; stdout and stderr go to `log`.

        If the command does not exist, the process exits with 127.
        """
        guarded = (sys.executable, "-I", "-S", str(Path(pdeathsig.__file__)), str(os.getpid()), *command)
        with log.opened() as output:
            process = await asyncio.create_subprocess_exec(
                *guarded,
                env=dict(env),
                cwd=cwd,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        return cls(process)

    async def wait(self) -> int:
        """Wait for its end, then kill the rest of its group. Cancel-safe.

        Returns the exit code, negative for a signal.
        """
        code = await self._process.wait()
        self.kill()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; not to the rest of its group."""
        # Not send_signal(): it would reap a child that is dead already, and asyncio would log that it lost the child.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL to its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self, grace_s: float) -> int:
        """Send SIGTERM, and after `grace_s` seconds SIGKILL to its group; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()


def describe_exit(code: int) -> str:
    """The exit code as text: `exit code 1`, `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
