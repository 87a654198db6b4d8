"""What SIGHUP means to `orastream up`: with a terminal it ends the node, without one it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.services import environment

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="needs a pty and a session")]

WAITS = """
import asyncio, sys
from pathlib import Path
from orastream.cli.commands.up import _stop_signals
from orastream.cli.node.supervisor import Supervisor

async def main():
    with _stop_signals(Supervisor([], Path("."))) as stop:
        print("ready", flush=True)
        try:
            async with asyncio.timeout(float(sys.argv[1])):
                await stop.wait()
        except TimeoutError:
            Path("ended").write_text("goes on")
        else:
            Path("ended").write_text("stops")

asyncio.run(main())
"""


def test_closed_terminal_stops_it(tmp_path: Path) -> None:
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-c", WAITS, "30"], environment({}))
    shown, status = b"", None
    try:
        while not shown.endswith(b"\n"):  # else it might be writing still
            shown += os.read(terminal, 1024)
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    finally:
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert status == 0, shown.decode()
    assert (tmp_path / "ended").read_text() == "stops"


def test_without_a_terminal_it_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, "1"],
        cwd=tmp_path,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    assert (tmp_path / "ended").read_text() == "goes on"
