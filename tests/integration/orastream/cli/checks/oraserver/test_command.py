"""`orastream check-oraserver` as a process: exit codes, the table, JSON, and a server that it restarts."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from orastream.cli.checks.oraserver import server_process
from orastream.cli.checks.oraserver.outcomes import CheckImpossible
from tests.support.checked_server import check_oraserver, restarted, slow_start
from tests.support.processes import free_port, until
from tests.support.receiver import Fault, receiving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_a_good_server_ends_with_0_and_a_table(tmp_path: Path) -> None:
    async with receiving(token="secret") as receiver:
        code, out, err = await check_oraserver(
            tmp_path,
            *(receiver.websocket_url, "--http", receiver.http_url, "--received", f"{receiver.url}/received"),
            *("--idle-seconds", "0", "--only", "token", "--only", "order", "--only", "idle", "--only", "post"),
            ORASERVER_TOKEN="secret",
        )
    assert code == 0, err
    rows = [line.split()[:2] for line in out.splitlines() if ": " in line and line[1:2].isalpha()]
    assert rows == [["skipped", "idle:"], ["ok", "token:"], ["ok", "order:"], ["ok", "post:"]]
    assert "(Confirmation)" in out and "oraserver-v1.md" in out and "3 rules kept, 0 broken" in out


@pytest.mark.parametrize(
    ("fault", "strict", "code"),
    [("stores repeats", (), 1), ("128 KiB frames", (), 0), ("128 KiB frames", ("--strict",), 1)],
)
async def test_the_exit_code_says_whether_a_rule_is_broken(
    tmp_path: Path, fault: Fault, strict: tuple[str, ...], code: int
) -> None:
    async with receiving(fault) as receiver:
        given = ("--received", f"{receiver.url}/received", "--only", "repeats", "--only", "largest-frame", "--json")
        found, out, err = await check_oraserver(tmp_path, receiver.websocket_url, *given, *strict)
    assert found == code, err
    checks = {each["check"]: each for each in json.loads(out)["checks"]}
    assert set(checks) == {"repeats", "largest-frame"}
    repeats = checks["repeats"]
    assert repeats["result"] == ("broken" if fault == "stores repeats" else "ok")
    assert repeats["section"] == "docs/reference/oraserver-v1.md#duplicates"
    if fault == "stores repeats":
        assert "stored twice" in repeats["happened"]
    else:
        assert checks["largest-frame"]["result"] == "risk"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give the address of a WebSocket"),
        (("http://127.0.0.1:1/ws",), "must begin with ws:// or wss://"),
        (("ws://127.0.0.1:1/ws", "--only", "pong"), "there is no check"),
        (("ws://127.0.0.1:1/ws", "--http", "ws://127.0.0.1:1/"), "must begin with http:// or https://"),
        (("ws://127.0.0.1:1/ws", "--only", "post"), "need the other address"),
        (("ws://127.0.0.1:1/ws", "--token", "토큰"), "printable ASCII"),
    ],
)
async def test_a_wrong_option_ends_with_2(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    code, _, err = await check_oraserver(tmp_path, *arguments)
    assert code == 2 and says in " ".join(err.replace("│", " ").split())


async def test_the_output_names_the_checks_of_v2_that_were_left_out(tmp_path: Path) -> None:
    async with receiving() as receiver:
        code, out, err = await check_oraserver(tmp_path, receiver.websocket_url, "--idle-seconds", "0")
    assert code == 0, (out, err)
    assert "has not selected `orastream.v2`" in out and "--protocol v2 runs them" in out
    assert "v2-" not in out


async def test_without_a_server_the_first_check_of_each_transport_is_broken(tmp_path: Path) -> None:
    port = free_port()
    code, out, _ = await check_oraserver(
        tmp_path, f"ws://127.0.0.1:{port}/ws", "--http", f"http://127.0.0.1:{port}/tts", "--json"
    )
    results = [(each["check"], each["result"]) for each in json.loads(out)["checks"]]
    assert code == 1
    assert [name for name, result in results if result == "broken"] == ["handshake", "post"]
    assert {result for _, result in results} == {"broken", "skipped"}


async def test_a_listing_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    async with receiving() as receiver:
        given = (receiver.websocket_url, "--received", f"{receiver.url}/tts", "--only", "order", "--only", "handshake")
        code, out, err = await check_oraserver(tmp_path, *given)
    assert code == 1, err
    assert "impossible" in out and "--received" in out and "HTTP 405" in out and "handshake" in out


@pytest.mark.parametrize("pid_file", [True, False])
@pytest.mark.parametrize(("fault", "result"), [(None, "ok"), ("early pongs", "broken")])
async def test_a_server_that_is_killed_has_what_it_confirmed(
    tmp_path: Path, fault: Fault | None, result: str, pid_file: bool
) -> None:
    port, stored = free_port(), tmp_path / "stored"
    stored.mkdir()
    start = [sys.executable, "-m", "tests.support.receiver", str(port), str(stored), *([fault] if fault else [])]
    async with restarted(start, tmp_path, tmp_path / "pid", port) as command:
        code, out, err = await check_oraserver(
            tmp_path,
            *(f"ws://127.0.0.1:{port}/ws", "--received", f"http://127.0.0.1:{port}/received"),
            *("--restart", command, "--only", "restart", "--json"),
            *(("--pid-file", str(tmp_path / "pid")) if pid_file else ()),
        )
    (check,) = json.loads(out)["checks"]
    found = "ok" if slow_start(check) else check["result"]
    assert (found, code) == (result, int(result == "broken")), (err, check)
    assert ("answer pings yourself" in check["happened"]) == (result == "broken")


async def test_the_reference_server_has_what_it_confirmed(tmp_path: Path) -> None:
    port = free_port()
    start = [sys.executable, "-m", "services.oraserver", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    async with restarted(start, tmp_path, tmp_path / "pid", port) as command:
        code, out, err = await check_oraserver(
            tmp_path,
            *(f"ws://127.0.0.1:{port}/ws/tts", "--received", f"http://127.0.0.1:{port}/received"),
            *("--restart", command, "--only", "restart", "--json"),
        )
    (check,) = json.loads(out)["checks"]
    assert code == 0 and (check["result"] == "ok" or slow_start(check)), (err, check)


@pytest.mark.parametrize(
    ("command", "pid", "says"),
    [
        ("exit 3", None, "exit code 3"),
        ("true", None, "does it kill the server?"),
        ("true", "1", "has no pid of a process that may be killed"),
        ("true", "many", "has no pid of a process that may be killed"),
    ],
)
async def test_a_restart_that_does_not_work_is_named(tmp_path: Path, command: str, pid: str | None, says: str) -> None:
    (tmp_path / "pid").write_text(pid or "")
    async with receiving() as receiver:
        given = [receiver.websocket_url, "--received", f"{receiver.url}/received", "--restart", command, "--json"]
        given += ["--only", "restart", *(["--pid-file", str(tmp_path / "pid")] if pid is not None else [])]
        code, out, err = await check_oraserver(tmp_path, *given)
    (check,) = json.loads(out)["checks"]
    assert (code, check["result"]) == (1, "impossible"), err
    assert says in check["happened"]


async def test_a_command_that_hangs_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "COMMAND_S", 0.5)
    mark = tmp_path / "mark"
    with pytest.raises(CheckImpossible, match="did not end within"):
        await server_process.run(f"sleep 300 & echo $! $$ > {mark}; wait")
    pid, shell = map(int, mark.read_text().split())
    assert not Path(f"/proc/{shell}").exists()  # its exit code was taken: no zombie is left

    async def gone() -> bool:
        return not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()

    await until(gone, "the command's child is killed")


async def test_a_process_that_has_ended_cannot_be_killed() -> None:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    with pytest.raises(CheckImpossible, match="cannot be killed"):
        server_process.kill(process.pid)


async def test_no_output_has_a_password(tmp_path: Path) -> None:
    port = free_port()
    code, out, err = await check_oraserver(
        tmp_path,
        *(f"ws://user:hunter2@127.0.0.1:{port}/ws?key=hunter3", "--http", f"http://127.0.0.1:{port}/tts?key=hunter4"),
        *("--received", f"http://user:hunter5@127.0.0.1:{port}/received?key=hunter6", "--json"),
    )
    assert code == 1 and json.loads(out)["url"] == f"ws://127.0.0.1:{port}/ws"
    assert "hunter" not in out + err
