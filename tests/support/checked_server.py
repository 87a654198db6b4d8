"""`orastream check-oraserver` as a process, and servers that its `--restart` kills and starts again."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes import until
from tests.support.services import REPOSITORY, environment


async def check_oraserver(folder: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    """Run the command in `folder`; returns exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "check-oraserver", *arguments),
        cwd=folder,
        env=environment(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def slow_start(check: dict[str, str]) -> bool:
    """Whether nothing is wrong but that this machine was too busy to start the server in time."""
    return check["result"] == "risk" and check["happened"].startswith("away for")


@asynccontextmanager
async def restarted(start: list[str], folder: Path, pid: Path, ready_port: int) -> AsyncIterator[str]:
    """Start a server, and yield a command that kills it and starts it again; the last one is killed at the end.

    `start` writes no pid: the command of the shell does.
    """
    script = folder / "restart.sh"
    words = shlex.join(start)
    script.write_text(
        f"test -s {pid} && kill -9 $(cat {pid})\n"
        f"cd {shlex.quote(str(REPOSITORY))} && exec 0</dev/null 1>>{folder}/server.log 2>&1\n"
        f"{words} & echo $! > {pid}\n"
    )
    command = f"sh {shlex.quote(str(script))}"
    process = await asyncio.create_subprocess_shell(command, env=environment({}))
    assert await process.wait() == 0

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", ready_port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, "the server listens", timeout_s=40)
        yield command
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
