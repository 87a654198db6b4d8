"""Users with passwords in a deploy/nats.conf of one's own, as earlier versions showed them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from tests.support.monitoring import ROOT
from tests.support.nats_server import NatsServer, nats_server_binary
from tests.support.processes import Logs
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

OWN = """\
authorization {
  users: [
    { user: node, password: $NATS_NODE_PASSWORD
      permissions: { publish: ["tts.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>", "_INBOX_node.>", "_INBOX.>"]
                     subscribe: ["tts.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>", "_INBOX_node.>"] } }
    { user: caller, password: $NATS_CALLER_PASSWORD
      permissions: { publish: ["tts.request.*", "tts.text.*.*", "tts.cancel.*", "tts.speak", "tts.voices",
                               "$JS.API.DIRECT.GET.TTS_REPORTS", "$JS.API.STREAM.MSG.GET.TTS_REPORTS"]
                     subscribe: ["_INBOX.>", "tts.report.*.*", "tts.load"] } }
  ]
}
"""
"""What deploy/nats.conf had as a comment before there were accounts."""


def as_compose_gives_it(variable: str, value: str) -> str:
    """What nats-server's container has in that variable of compose.yaml when .env has `value`: `:+` and `:-` read."""
    template = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["nats"]["environment"][variable]

    def interpolated(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        assert name == variable
        return (word if value else "") if operator == ":+" else (value or word)

    return re.sub(r"\$\{(\w+)(:[+-])([^}]*)\}", interpolated, template)


async def answer_to(port: int, password: str) -> bytes:
    """What the server says to the user `node` with that password."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await reader.readline()
            login = json.dumps({"user": "node", "pass": password, "verbose": False})
            writer.write(f"CONNECT {login}\r\nPING\r\n".encode())
            return (await reader.readline()).strip()
        finally:
            writer.close()


@pytest.mark.parametrize("password", ["123456", "12k", "true", "1e5", "a b", "p#x", "secret-of-node_1.2~"])
async def test_password_is_read_as_text_even_if_it_looks_like_a_number(
    tmp_path: Path, logs: Logs, password: str
) -> None:
    (tmp_path / "nats.conf").write_text(OWN)
    env = {name: as_compose_gives_it(name, password) for name in ("NATS_NODE_PASSWORD", "NATS_CALLER_PASSWORD")}
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"), env=env)
    try:
        await server.start()
        assert await answer_to(server.port, password) == b"PONG"
        for wrong in ("", "wrong", f"'{password}'"):
            assert await answer_to(server.port, wrong) == b"-ERR 'Authorization Violation'"
    finally:
        server.kill()


@pytest.mark.parametrize("missing", ["NATS_NODE_PASSWORD", "NATS_CALLER_PASSWORD"])
def test_server_does_not_start_without_a_password(tmp_path: Path, missing: str) -> None:
    (tmp_path / "nats.conf").write_text(OWN)
    values = {"NATS_NODE_PASSWORD": "node", "NATS_CALLER_PASSWORD": "caller", missing: ""}
    done = subprocess.run(
        [nats_server_binary(), "-t", "-c", tmp_path / "nats.conf"],
        env={name: as_compose_gives_it(name, value) for name, value in values.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert missing in done.stderr


async def test_the_node_still_runs_as_such_a_user(tmp_path: Path, logs: Logs) -> None:
    """With NATS_NODE_URL=nats://node:PASSWORD@… and the inboxes that compose.yaml gives the services."""
    (tmp_path / "nats.conf").write_text(OWN)
    env = {name: as_compose_gives_it(name, "secret") for name in ("NATS_NODE_PASSWORD", "NATS_CALLER_PASSWORD")}
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"), env=env)
    stack = Stack(server, tmp_path, logs, NATS_URL=server.url.replace("//", "//node:secret@"))
    try:
        await server.start()
        for service in ("synth", "ws_bridge", "http_bridge", "gateway"):
            given = {k: v for k, v in dotenv_values(ROOT / "deploy/open" / f"{service}.env").items() if v}
            stack.add(service, TTS_AUDIO_MAX_BYTES=64 << 20, SYNTH_SLOTS=1, **given)
        await asyncio.gather(*(process.start() for many in stack.processes.values() for process in many))
        await stack.stop()
        assert "ermissions" not in "".join(process.text() for many in stack.processes.values() for process in many)
    finally:
        stack.kill()
        server.kill()
