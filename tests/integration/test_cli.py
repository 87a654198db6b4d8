"""The command `orastream` as a person starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import wave
from pathlib import Path

import pytest

from orastream.cli.upfile import UpFile
from orastream.client import Client
from orastream.jetstream import JetStream
from tests.support.ending import ending_all
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, Process, free_port
from tests.support.services import environment

pytestmark = pytest.mark.integration

COMMANDS = ("up", "say", "watch", "cancel", "report", "bench", "doctor", "demo")


async def orastream(folder: Path, *arguments: str, timeout_s: float = 50, **env: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `orastream …`, run in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", *arguments),
        cwd=folder,
        env=environment(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_help_names_every_command_and_teaches(tmp_path: Path) -> None:
    code, out, _ = await orastream(tmp_path, "--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    for command in ("say", "up", "doctor"):
        code, out, _ = await orastream(tmp_path, command, "--help")
        assert code == 0
        assert "Examples" in out
        assert f"orastream {command}" in out


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from orastream.cli import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment({}), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"pip install 'orastream[cli]'" in err
    assert b"Traceback" not in err


async def test_no_nats_is_said_in_one_line(tmp_path: Path) -> None:
    code, out, err = await orastream(tmp_path, "say", "hello", "--nats", f"nats://127.0.0.1:{free_port()}")
    assert (code, out) == (1, "")
    assert err.startswith("error: no NATS server answers")
    assert err.count("\n") == 1


async def test_a_bad_request_names_the_field(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    code, _, err = await orastream(tmp_path, "say", "hello", "--format", "mp3", NATS_URL=nats_server.url)
    assert code == 1
    assert err.startswith("error: format:")


async def test_say_follows_to_the_final_report(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    async with ending_all(js, "delivered"):
        code, out, err = await orastream(tmp_path, "say", "hello", "--request", "r1", "--nats", nats_server.url)
    assert code == 0, err
    assert "delivered" in out
    assert "r1" in out


async def test_say_fails_when_the_report_does(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    async with ending_all(js, "cancelled"):
        code, out, _ = await orastream(tmp_path, "say", "hello", "--nats", nats_server.url)
    assert code == 1
    assert "cancelled" in out


async def test_accept_wait_report_cancel_watch(
    tmp_path: Path, nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    nats = ("--nats", nats_server.url)
    code, out, _ = await orastream(tmp_path, "say", "안녕", "--session", "s", "--request", "r", "--wait", "0", *nats)
    assert (code, out.split()[0]) == (0, "accepted")
    code, _, err = await orastream(tmp_path, "say", "안녕", "--session", "s", "--wait", "0.5", *nats)
    assert code == 1
    assert "no final report" in err
    code, out, _ = await orastream(tmp_path, "report", "s", "r", "--json", *nats)
    assert (code, json.loads(out)["status"]) == (0, "queued")
    code, _, err = await orastream(tmp_path, "report", "s", "another", *nats)
    assert code == 1
    assert "nothing is known" in err
    code, out, _ = await orastream(tmp_path, "cancel", "s", *nats)
    assert code == 0
    assert out.startswith("cancel stored at sequence")


async def test_a_taken_port_names_its_option(tmp_path: Path, nats_server: NatsServer) -> None:
    code, _, err = await orastream(tmp_path, "up", "--nats-port", str(nats_server.port))
    assert code == 1
    assert err.startswith("error: --nats-port")


@pytest.mark.timeout(150)
async def test_up_from_ready_to_drained(tmp_path: Path, logs: Logs) -> None:
    logs["up"] = tmp_path / "up.log"
    arguments = ("--nats-port", "0", "--gateway-port", "0", "--oraserver-port", "0", "--data-dir", "data", "-v")
    argv = [sys.executable, "-m", "orastream.cli", "up", *arguments]
    up = Process("up", argv, env=environment({}), cwd=tmp_path, log=logs["up"])
    data = tmp_path / "data"

    async def ready() -> bool:
        return UpFile.read(data) is not None

    up.launch()
    try:
        await up.until_ready(ready, 60)
        file = UpFile.read(data)
        assert file is not None
        pids = {service.name: service.pid for service in file.services}
        assert set(pids) == {"nats-server", "oraserver", "synth", "ws_bridge", "http_bridge", "gateway"}
        saved = tmp_path / "saved.wav"
        said = await orastream(tmp_path, "say", "Hello there", "--sync", "--save", str(saved), "--nats", file.nats_url)
        assert said[0] == 0, said
        with wave.open(str(saved)) as audio:
            assert audio.getnframes() > audio.getframerate() / 2

        killed = pids["ws_bridge"]
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        async def started_again() -> bool:
            now = UpFile.read(data)
            assert now is not None
            pid = next(service.pid for service in now.services if service.name == "ws_bridge")
            return pid not in (None, killed) and "ws_bridge is ready again" in up.text()

        await up.until_ready(started_again, 40)
        now = UpFile.read(data)
        assert now is not None
        up.signal(signal.SIGTERM)
        assert await up.ended(40) == 0
        assert UpFile.read(data) is None
        for service in now.services:
            assert service.pid is not None
            with pytest.raises(ProcessLookupError):
                os.kill(service.pid, 0)
        assert up.text().rstrip().endswith("stopped")
    finally:
        up.kill()
