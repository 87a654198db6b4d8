"""`v2-restart` kills a server in mid-utterance, and finds what it has forgotten. And `--protocol` as a process."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.checked_server import check_oraserver, restarted, slow_start
from tests.support.processes import free_port
from tests.support.receiver import receiving
from tests.support.stream_receiver import RestartFault, stream_receiving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def restart_check(folder: Path, start: list[str], port: int, path: str, *, pid_file: bool) -> dict[str, str]:
    """What `v2-restart` says of a server that `start` starts."""
    async with restarted(start, folder, folder / "pid", port) as command:
        code, out, err = await check_oraserver(
            folder,
            *(f"ws://127.0.0.1:{port}{path}", "--received", f"http://127.0.0.1:{port}/received"),
            *("--restart", command, "--only", "v2-restart", "--json"),
            *(("--pid-file", str(folder / "pid")) if pid_file else ()),
        )
    (check,) = json.loads(out)["checks"]
    assert code == (check["result"] == "broken"), (err, check)
    found: dict[str, str] = check
    return found


@pytest.mark.parametrize(
    ("fault", "result", "says"),
    [
        (None, "ok", "went on at the acknowledged byte"),
        ("memory", "risk", "forgets: 3000 bytes were acknowledged, `opened` has 0"),
        ("acks before it stores", "risk", "forgets: 3000 bytes were acknowledged"),
        ("forgets its fence", "risk", "forgets the fence"),
        ("claims too much", "broken", "3000 bytes were sent"),
    ],
)
async def test_what_is_forgotten_is_found(tmp_path: Path, fault: RestartFault | None, result: str, says: str) -> None:
    port, stored = free_port(), tmp_path / "stored"
    stored.mkdir()
    start = [sys.executable, "-m", "tests.support.stream_receiver", str(port), str(stored), *([fault] if fault else [])]
    check = await restart_check(tmp_path, start, port, "/ws", pid_file=True)
    if result == "ok" and slow_start(check):
        return
    assert check["result"] == result and says in check["happened"], check


@pytest.mark.parametrize("pid_file", [True, False])
async def test_the_reference_server_goes_on(tmp_path: Path, pid_file: bool) -> None:
    port = free_port()
    start = [sys.executable, "-m", "services.oraserver", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    check = await restart_check(tmp_path, start, port, "/ws/tts", pid_file=pid_file)
    assert check["result"] == "ok" or slow_start(check), check


async def test_the_receiver_in_typescript_goes_on(node_receiver_build: Path, tmp_path: Path) -> None:
    port = free_port()
    env = [str(shutil.which("env")), f"PORT={port}", f"DATA_DIR={tmp_path / 'data'}"]
    start = [*env, str(shutil.which("node")), str(node_receiver_build / "dist" / "src" / "main.js")]
    check = await restart_check(tmp_path, start, port, "/ws/tts", pid_file=True)
    assert check["result"] == "ok" or slow_start(check), check


async def checked(folder: Path, url: str, *arguments: str) -> set[str]:
    """The checks that ran."""
    _, out, _ = await check_oraserver(folder, url, *arguments, "--idle-seconds", "0", "--json")
    return {each["check"] for each in json.loads(out)["checks"]}


async def test_the_server_chooses_the_protocol_or_the_option_does(tmp_path: Path) -> None:
    async with stream_receiving() as new, receiving() as old:
        only = ("--only", "handshake", "--only", "v2-acks", "--only", "v2-hello")
        assert await checked(tmp_path, new.websocket_url, *only) == {"handshake", "v2-acks", "v2-hello"}
        assert await checked(tmp_path, new.websocket_url, "--protocol", "v1", *only) == {"handshake"}
        assert await checked(tmp_path, new.websocket_url, "--protocol", "v2", *only) == {"v2-acks", "v2-hello"}
        both = await checked(tmp_path, old.websocket_url)
        assert "handshake" in both and not any(name.startswith("v2-") for name in both)


async def test_a_check_of_v2_that_was_asked_for_runs_without_v2(tmp_path: Path) -> None:
    async with receiving() as receiver:
        code, out, _ = await check_oraserver(tmp_path, receiver.websocket_url, "--only", "v2-acks", "--json")
    (check,) = json.loads(out)["checks"]
    assert (code, check["result"]) == (1, "broken") and "has not selected orastream.v2" in check["happened"]
    assert check["section"] == "docs/reference/oraserver-v2.md#acknowledgement"
