"""A run that is killed, or that a signal ends, leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.forks import ForkedChild, ForkServer
from tests.support.processes import Process, free_port, until
from tests.support.services import environment

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


@pytest.fixture
async def forks(tmp_path: Path) -> AsyncIterator[ForkServer]:
    """A fork server of the test's own, for the reference OraServer."""
    server = ForkServer("oraserver", ROOT, environment({}))
    yield server
    server.close()


def started(forks: ForkServer, folder: Path, **settings: object) -> ForkedChild:
    given = {"ORASERVER_PORT": free_port(), "ORASERVER_DATA_DIR": folder / "data", **settings}
    return forks.start(environment(given), folder, folder / "log")


async def test_a_forked_service_is_as_one_that_was_started(forks: ForkServer, tmp_path: Path) -> None:
    """Its environment, folder, log, signals and exit codes."""
    (tmp_path / "one").mkdir()
    child = started(forks, tmp_path / "one")

    async def ready() -> bool:
        return (tmp_path / "one" / "log").read_text().startswith("listening on ")

    await until(ready, "it is ready", timeout_s=60)
    assert child.poll() is None and Path(f"/proc/{child.pid}/cwd").resolve() == tmp_path / "one"
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(15) == 0 == child.poll()
    child.kill()  # nothing happens
    wrong = started(forks, tmp_path, ORASERVER_PORT="none")
    assert wrong.wait(15) not in (0, None) and "ORASERVER_PORT" in (tmp_path / "log").read_text()
    killed = started(forks, tmp_path)
    killed.kill()
    assert killed.wait(15) == -signal.SIGKILL


async def test_forked_services_end_with_their_server(forks: ForkServer, tmp_path: Path) -> None:
    child = started(forks, tmp_path)
    forks.close()

    async def gone() -> bool:
        return not alive(child.pid)

    await until(gone, "the service has ended")
    assert child.wait(15) == -signal.SIGKILL


async def test_an_answer_that_nobody_has_waited_for_is_left_out(forks: ForkServer, tmp_path: Path) -> None:
    """As after the time limit of a test has ended it while it waited."""

    def interrupted(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 0.05)  # the server takes longer to import
    try:
        with pytest.raises(KeyboardInterrupt):
            started(forks, tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    child = started(forks, tmp_path)
    child.kill()
    assert child.wait(15) == -signal.SIGKILL


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
