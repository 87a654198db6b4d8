"""Kills the server under test and starts it again, by the command of `--restart`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL
from pathlib import Path

from orastream.cli.checks.oraserver.outcomes import CheckImpossible

COMMAND_S = 30.0
"""How long the command may take."""


def pid_in(file: Path) -> int:
    """Return the pid in the file of `--pid-file`. Raises CheckImpossible."""
    try:
        pid = int(file.read_text())
        if pid <= 1:
            raise ValueError
        os.kill(pid, 0)
    except (OSError, ValueError) as exc:
        raise CheckImpossible(f"--pid-file: {file} has no pid of a process that may be killed ({exc})") from None
    return pid


def kill(pid: int) -> None:
    """End the server at once (SIGKILL). Raises CheckImpossible if it has ended by itself, or may not be killed."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as exc:
        raise CheckImpossible(f"--pid-file: process {pid} cannot be killed ({exc.strerror})") from None


async def run(command: str) -> None:
    """Run the command in a shell; returns when it has ended. Raises CheckImpossible.

    Its processes are killed if it takes too long, or if the caller is cancelled; else they stay, as the server may be
    one of them.
    """
    process = await asyncio.create_subprocess_shell(
        command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    ended = False
    try:
        async with asyncio.timeout(COMMAND_S):
            code = await process.wait()
        ended = True
    except TimeoutError:
        fix = "start the server in the background"
        raise CheckImpossible(f"--restart: the command did not end within {COMMAND_S:g} s; {fix}") from None
    finally:
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code:
        raise CheckImpossible(f"--restart: the command ended with exit code {code}")
