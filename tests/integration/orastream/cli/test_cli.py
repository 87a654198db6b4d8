"""The command `orastream`, run as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import sys
import time
import wave
from pathlib import Path

import pytest

from orastream.cli.node.upfile import UpFile
from orastream.client.async_client import Client
from orastream.client.reads import Reads
from orastream.client.watch import dated_reports
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.api import JetStream
from tests.support.ending import ending_all, stored_request
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, Process, free_port, until
from tests.support.services import environment

pytestmark = pytest.mark.integration

COMMANDS = ("up", "say", "watch", "cancel", "report", "voices", "bench", "doctor", "demo")


async def orastream(folder: Path, *arguments: str, timeout_s: float = 50, **env: str) -> tuple[int, str, str]:
    """Run `orastream …` in `folder`; returns exit code, stdout and stderr."""
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


async def test_help_names_every_command_and_shows_examples(tmp_path: Path) -> None:
    code, out, _ = await orastream(tmp_path, "--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    for command in ("say", "up", "doctor"):
        code, out, _ = await orastream(tmp_path, command, "--help")
        assert code == 0
        assert "Examples" in out
        assert f"orastream {command}" in out


@pytest.mark.parametrize("missing", ["typer", "structlog", "pydantic_settings", "websockets"])
async def test_command_says_what_to_install_without_the_extra(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from orastream.cli import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment({}), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"pip install 'orastream[cli]'" in err
    assert b"Traceback" not in err


async def test_command_prints_one_line_when_nats_is_unreachable(tmp_path: Path) -> None:
    code, out, err = await orastream(tmp_path, "say", "hello", "--nats", f"nats://127.0.0.1:{free_port()}")
    assert (code, out) == (1, "")
    assert err.startswith("error: no NATS server answers")
    assert err.count("\n") == 1


async def test_say_names_the_wrong_field(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    code, _, err = await orastream(tmp_path, "say", "hello", "--format", "ogg", NATS_URL=nats_server.url)
    assert code == 1
    assert err.startswith("error: format:")


async def test_say_follows_the_request_until_its_final_report(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    async with ending_all(js, "delivered"):
        code, out, err = await orastream(tmp_path, "say", "hello", "--request", "r1", "--nats", nats_server.url)
    assert code == 0, err
    assert "delivered" in out
    assert "r1" in out


async def test_say_prints_that_a_duplicate_is_not_spoken_again(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    """In the stream's duplicate window the ack shows the duplicate: sequence and report are those of the first one."""
    async with ending_all(js, "delivered"):
        for first in (True, False):
            code, _, err = await orastream(tmp_path, "say", "hello", "--request", "r1", "--nats", nats_server.url)
            assert code == 0
            assert err.count("already sent; it is not spoken again") == (not first)


async def test_say_sends_no_request_when_it_cannot_save_the_file(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    code, _, err = await orastream(
        *(tmp_path, "say", "hello", "--session", "s", "--save", "none/x.wav", "--nats", nats_server.url)
    )
    assert code == 1 and err.startswith("error: --save: cannot write none/x.wav (there is no folder")
    assert await js.last(NAMES.sessions_stream, NAMES.session_request("s")) is None


async def test_say_streams_the_text_from_stdin(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    """Pieces hold whole characters, wherever the bytes are split. The end of stdin ends the text."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "say", "-", "--session", "s", "--request", "r", "--wait", "0"),
        cwd=tmp_path,
        env=environment({"NATS_URL": nats_server.url}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None

    async def stored(pieces: int) -> list[TextPiece]:
        found: list[TextPiece] = []

        async def enough() -> bool:
            found[:] = [
                piece
                for message in await js.read(NAMES.texts_stream, NAMES.script("s", "r"), 0)
                if (piece := TextPiece.decode(message.data)) is not None
            ]
            return len(found) >= pieces

        await until(enough, f"{pieces} pieces", timeout_s=30)
        return found

    process.stdin.write("안녕. ".encode())

    async def request_stored() -> bool:
        return await js.after(NAMES.sessions_stream, NAMES.session_request("s"), 0) is not None

    await until(request_stored, "the request is stored", timeout_s=30)
    request = (await stored_request(js, "s", "r")).request
    assert request is not None and (request.text, request.language, request.text_stream) == ("안녕. ", "ko-KR", True)
    process.stdin.write("하".encode()[:2])
    process.stdin.write("하".encode()[2:] + b"na")
    await stored(1)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 30) == 0
    pieces = await stored(2)
    assert "".join(piece.text for piece in pieces) == "하na" and pieces[-1] == TextPiece(len(pieces) - 1, end=True)


async def test_say_fails_when_the_final_report_is_not_delivered(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    async with ending_all(js, "cancelled"):
        code, out, _ = await orastream(tmp_path, "say", "hello", "--nats", nats_server.url)
    assert code == 1
    assert "cancelled" in out


async def test_commands_accept_wait_report_cancel_and_watch(
    tmp_path: Path, nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    nats = ("--nats", nats_server.url)
    say = ("say", "안녕", "--session", "s", "--request", "r", "--wait", "0", "--supersede", *nats)
    code, out, _ = await orastream(tmp_path, *say)
    request = (await stored_request(js, "s", "r")).request
    assert (code, out.split()[0], request and request.supersede) == (0, "accepted", True)
    code, _, err = await orastream(tmp_path, "say", "안녕", "--session", "s", "--wait", "0.5", *nats)
    assert (code, "no final report" in err) == (1, True)
    code, out, _ = await orastream(tmp_path, "report", "s", "r", "--json", *nats)
    assert (code, json.loads(out)["status"]) == (0, "queued")
    code, _, err = await orastream(tmp_path, "report", "s", "another", *nats)
    assert code == 1
    assert "there is no report" in err
    code, out, _ = await orastream(tmp_path, "cancel", "s", *nats)
    assert code == 0
    assert out.startswith("cancel stored at sequence")


async def test_cancel_shows_what_was_heard(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    """With control characters of the text as escapes."""
    await put_report(js, "s", "r", 1, "delivering")
    await put_report(js, "s", "posted", 2, "delivering", transport="http")
    unknown = {"heard_by": "unknown", "played_ms": None, "heard_text": None, "unheard_text": None, "cut": None}
    await put_record(js, a_record("s", "posted", 2, **unknown))

    async def answer(cancel: int) -> None:
        await put_report(js, "s", "posted", 2, "cancelled", transport="http")
        await put_record(js, a_record("s", "r", 1, cancel_seq=cancel, unheard_text="둘\x1b[2J"))

    async with at_each_cancel(js, answer):
        code, out, _ = await orastream(tmp_path, "cancel", "s", "--wait", "--nats", nats_server.url)
    first, *lines = out.splitlines()
    assert code == 0 and first.endswith("utterances that it has cut: 2")
    assert lines == [
        "r (0.40 s heard, estimated)",
        "  heard:     하나",
        "  not heard: 둘\\u001b[2J",
        "posted (unknown how much was heard)",
    ]
    code, out, _ = await orastream(tmp_path, "cancel", "s", "--request", "r", "--wait", "--nats", nats_server.url)
    assert code == 0 and out.endswith("cut: 0\n")


async def test_commands_warn_of_a_misspelled_setting(tmp_path: Path, nats_server: NatsServer) -> None:
    _, out, _ = await orastream(tmp_path, "doctor", "--nats", nats_server.url, TTS_ENGIN="vits")
    assert "did you mean TTS_ENGINE?" in out
    code, _, err = await orastream(tmp_path, "up", "--nats-port", str(nats_server.port), TTS_ENGIN="vits")
    assert code == 1
    assert err.startswith(
        "warning: TTS_ENGIN is not a setting of the node: no service reads it; did you mean TTS_ENGINE?\n"
    )


async def test_watch_shows_the_time_when_a_report_was_stored(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    """The time shown is when the report was stored, not when it was read."""
    async with ending_all(js, "delivered"):
        assert (await orastream(tmp_path, "say", "hello", "--session", "s", "--nats", nats_server.url))[0] == 0
    stored = await js.last(NAMES.reports_stream, NAMES.reports("s"))
    assert stored is not None
    async with contextlib.aclosing(dated_reports(Reads(js, max_text_chars=5000), "s", history=True)) as dated:
        assert (await anext(dated))[0] == stored.time_s
    await asyncio.sleep(1.1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "watch", "s", "--history", "--nats", nats_server.url),
        cwd=tmp_path,
        env=environment({"TZ": "UTC"}),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
    finally:
        process.kill()
        await process.wait()
    assert line.decode().startswith(time.strftime("%H:%M:%S delivered s/", time.gmtime(stored.time_s)))


async def test_watch_shows_running_deliveries_on_a_terminal_alone(
    tmp_path: Path, nats_server: NatsServer, js: JetStream
) -> None:
    """In a pipe there are reports only, which programs read."""
    progress = DeliveryProgress(
        request_id="r\x1b[1m", session_id="s", request_seq=1, sent_ms=2000, acked_ms=1000, played_ms=500, total_ms=4000
    )
    terminal, its_end = pty.openpty()
    ends: dict[str, int] = {"terminal": its_end, "pipe": asyncio.subprocess.PIPE}
    watching = {
        name: await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orastream.cli", "watch", "s", "--nats", nats_server.url),
            cwd=tmp_path,
            env=environment({"TERM": "xterm", "COLUMNS": "120"}),
            stdout=end,
        )
        for name, end in ends.items()
    }
    os.set_blocking(terminal, False)
    shown = bytearray()

    async def drawn() -> bool:
        await js.broker.publish(NAMES.progress("s", "r"), progress.encode("json"))
        with contextlib.suppress(BlockingIOError):
            shown.extend(os.read(terminal, 65_536))
        return b"played 0.5 s" in shown

    try:
        await until(drawn, "the delivery is shown", timeout_s=30)
        assert "sent 2.0 s of 4.0 s" in shown.decode() and "r\\u001b[1m" in shown.decode()
        watching["pipe"].terminate()
        assert watching["pipe"].stdout is not None and await watching["pipe"].stdout.read() == b""
    finally:
        for process in watching.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        os.close(terminal)
        os.close(its_end)


async def test_up_names_the_option_whose_port_is_in_use(tmp_path: Path, nats_server: NatsServer) -> None:
    code, _, err = await orastream(tmp_path, "up", "--nats-port", str(nats_server.port))
    assert code == 1
    assert err.startswith("error: --nats-port")


@pytest.mark.timeout(150)
async def test_up_starts_the_node_and_drains_it(tmp_path: Path, logs: Logs) -> None:
    logs["up"] = tmp_path / "up.log"
    arguments = (
        "--nats-port",
        "0",
        "--gateway-port",
        "0",
        "--oraserver-port",
        "0",
        "--data-dir",
        "data",
        "-v",
        "--sync",
        "always",
    )
    # In a session of its own, so that it has no terminal, as under systemd.
    alone = "import os, sys; os.setsid(); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    argv = [sys.executable, "-c", alone, "-m", "orastream.cli", "up", *arguments]
    (tmp_path / "lexicon.yaml").write_text("ko: {SQL: 시퀄}")
    up = Process("up", argv, env=environment({"TTS_LEXICON": "lexicon.yaml"}), cwd=tmp_path, log=logs["up"])
    data = tmp_path / "data"

    async def ready() -> bool:
        return UpFile.read(data) is not None

    up.launch()
    try:
        await up.until_ready(ready, 60)
        file = UpFile.read(data)
        assert file is not None
        assert file.oraserver_url is not None
        delivered_to = (f"ws{file.oraserver_url.removeprefix('http')}/ws/tts", f"{file.oraserver_url}/api/tts")
        assert (file.websocket_url, file.http_url) == delivered_to
        pids = {service.name: service.pid for service in file.services}
        assert set(pids) == {"nats-server", "oraserver", "synth", "ws_bridge", "http_bridge", "gateway"}
        saved = tmp_path / "saved.wav"
        result = await orastream(
            tmp_path, "say", "Hello there", "--sync", "--save", str(saved), "--nats", file.nats_url
        )
        assert result[0] == 0, result
        with wave.open(str(saved)) as audio:
            assert audio.getnframes() > audio.getframerate() / 2
        silent = tmp_path / "silent.wav"
        code, out, err = await orastream(
            tmp_path, "say", "<think>Hi.</think>", "--sync", "--save", str(silent), "--nats", file.nats_url
        )
        assert (code, silent.exists()) == (0, False) and "the text has nothing to say" in err, (out, err)

        assert file.nats_monitoring_url is not None
        node = {"NATS_URL": file.nats_url, "NATS_MONITORING_URL": file.nats_monitoring_url}
        _, out, _ = await orastream(tmp_path, "doctor", **node)
        assert "loses nothing that was acked" in out

        (tmp_path / "lexicon.yaml").write_text("ko: {SQL: 에스큐엘, Redis: 레디스}")
        up.signal(signal.SIGHUP)

        async def read_anew() -> bool:
            return re.search(r'"words": 2, .*"lexicon read anew"', up.text()) is not None

        await up.until_ready(read_anew, 20)
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
