"""The tests of clients/oraserver-node itself, and what `orastream check-oraserver` finds out about it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.support.node_receiver import SOURCE, NodeReceiver
from tests.support.npm import run_npm
from tests.support.processes import Logs
from tests.support.services import environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]  # npm installs the compiler the first time

TOKEN = "a-token-of-the-test"


def test_npm_test_succeeds(node_receiver_build: Path) -> None:
    output = run_npm(node_receiver_build, "test")
    assert "# fail 0" in output or "ℹ fail 0" in output, output
    assert "# skipped 0" in output or "ℹ skipped 0" in output, output
    assert "# pass 0" not in output and "ℹ pass 0" not in output, output


def test_lock_file_names_no_host() -> None:
    assert "http" not in (SOURCE / "package-lock.json").read_text()


async def test_check_oraserver_finds_that_it_keeps_every_rule(
    node_receiver_build: Path, tmp_path: Path, logs: Logs
) -> None:
    """Of v1 and of v2, also what is seen in its list: files are whole, and a pong comes after storing. Risks count."""
    receiver = NodeReceiver(node_receiver_build, tmp_path, logs, token=TOKEN, crc=True)
    try:
        await receiver.start()
        address = f"127.0.0.1:{receiver.port}"
        given = [f"ws://{address}/ws/tts", "--http", f"http://{address}/api/tts"]
        given += ["--received", f"http://{address}/received", "--idle-seconds", "0", "--strict", "--json"]
        checking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orastream.cli", "check-oraserver", *given),
            cwd=tmp_path,
            env=environment({"ORASERVER_TOKEN": TOKEN}),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await checking.communicate()
    finally:
        receiver.kill()
    not_kept = [check for check in json.loads(out)["checks"] if check["result"] != "ok"]
    assert checking.returncode == 0, not_kept
    missing = {"idle", "restart", "v2-restart"}  # for want of time and of a command
    assert {check["check"] for check in not_kept} == missing, not_kept
    assert "v2-handshake" in {check["check"] for check in json.loads(out)["checks"]}
