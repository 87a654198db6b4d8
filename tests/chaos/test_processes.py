"""A run that is killed, or that a signal ends, leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import Process, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys, time
from pathlib import Path
from tests.support.processes import Process
folder = Path(sys.argv[1])
command = [sys.executable, "-c", "import time; time.sleep(60)"]
child = Process("child", command, env={}, cwd=folder, log=folder / "child")
child.launch()
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG exists on Linux only")
async def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    """`kill -9` of a run left nats-servers and services behind, which took memory and ports."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "shared")])
    run = Process(
        "run", [sys.executable, "-c", RUN, tmp_path], env={"PYTHONPATH": path}, cwd=tmp_path, log=tmp_path / "run"
    )
    run.launch()

    async def launched() -> bool:
        return run.text().strip().isdigit()

    await until(launched, "the run has a child")
    child = int(run.text())
    assert alive(child)
    run.kill()

    async def gone() -> bool:
        return not alive(child)

    await until(gone, "the child has ended")


async def test_a_child_keeps_its_pid_and_its_exit_code(tmp_path: Path) -> None:
    """The program that sets the death signal is replaced by the command."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    child = Process("child", [sys.executable, "-c", code], env={}, cwd=tmp_path, log=tmp_path / "child")
    child.launch()

    async def says_its_pid() -> bool:
        await asyncio.sleep(0)
        return child.text().strip() == str(child.pid)

    await until(says_its_pid, "the child has said its pid")
    child.signal(signal.SIGTERM)
    assert await child.ended() == -signal.SIGTERM
