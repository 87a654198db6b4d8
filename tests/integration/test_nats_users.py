"""The users that deploy/nats.conf shows how to add: enough for services and callers, and no more for callers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
import yaml
from nats.aio.msg import Msg

from orastream.broker import Broker
from orastream.cli.checks import doctor
from orastream.cli.node.settings import CliSettings, NodeAddress
from orastream.client.async_client import Client
from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import AudioChunk, unpack
from orastream.contract.errors import OrastreamError
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from tests.support.monitoring import ROOT
from tests.support.nats_server import NatsServer, nats_server_binary
from tests.support.processes import Logs
from tests.support.services import Stack

TEXT = "비밀번호는 바다표범입니다."
INBOX_OF_NODE = "_INBOX_node"
BUS_OWNERS = ("synth", "ws_bridge", "http_bridge", "gateway")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def with_users(*, passwords: bool = True) -> str:
    """deploy/nats.conf as a user edits it: the users' block without its #, ports and store left to flags.

    Without `passwords` these stay variables.
    """
    text = (ROOT / "deploy" / "nats.conf").read_text()
    block = re.search(r"^#authorization \{$.*?^#\}$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    text = text.replace(block[0], re.sub(r"^#", "", block[0], flags=re.MULTILINE))
    text = re.sub(r"^(listen|http|server_name|  store_dir): .*$", "", text, flags=re.MULTILINE)
    if not passwords:
        return text
    return text.replace("$NATS_NODE_PASSWORD", "secret-of-node").replace("$NATS_CALLER_PASSWORD", "secret-of-caller")


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
    (tmp_path / "nats.conf").write_text(with_users(passwords=False))
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
    (tmp_path / "nats.conf").write_text(with_users(passwords=False))
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


def test_permissions_of_callers_are_those_of_the_page() -> None:
    """The block of docs/guide/security.md and the one of deploy/nats.conf name the same subjects."""
    page = (ROOT / "docs" / "guide" / "security.md").read_text()
    documented = page[page.index("\ncallers: {") :].partition("\n}")[0]
    configured = with_users().partition("user: caller")[2].partition("\n}")[0]
    quoted = re.compile(r'"([^"]+)"')
    assert set(quoted.findall(documented)) == set(quoted.findall(configured)) > {"tts.request.*", "_INBOX.>"}


def test_node_has_its_own_inbox_prefix() -> None:
    """Where compose.yaml and Kubernetes let the node be answered, its user may subscribe and the callers' may not."""
    node, _, caller = with_users().partition("user: caller")
    assert f'"{INBOX_OF_NODE}.>"' in node.partition("subscribe:")[2]
    assert '"_INBOX.>"' not in node.partition("subscribe:")[2]
    assert INBOX_OF_NODE not in caller
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    prefixes = {name: service.get("environment", {}).get("NATS_INBOX_PREFIX") for name, service in services.items()}
    assert {name for name, prefix in prefixes.items() if prefix == INBOX_OF_NODE} == set(BUS_OWNERS)
    settings = (ROOT / "deploy" / "kubernetes" / "base" / "settings.env").read_text()
    assert f"NATS_INBOX_PREFIX={INBOX_OF_NODE}\n" in settings


def in_all_writings(text: str) -> list[bytes]:
    """Words of the text as msgpack and JSON may have them."""
    return [form for word in text.split() for form in (word.encode(), json.dumps(word).strip('"').encode())]


async def spoken(node: str) -> list[bytes]:
    """Some of each chunk of audio that the node has stored, as a message holds it."""
    async with Broker(node, name="test", inbox_prefix=INBOX_OF_NODE, connect_timeout_s=5) as broker:
        stored = await JetStream(broker).read(stream_names.AUDIO, subjects.audio("s", "*"), 0)
    chunks = [packet.audio for m in stored if isinstance(packet := unpack(m.data), AudioChunk)]
    middles = [audio[len(audio) // 2 :][:64] for audio in chunks]
    assert len(middles) > 2
    return [middle for middle in middles if any(middle)]


def a_node(nats_url: str, inbox_prefix: str) -> NodeAddress:
    settings = CliSettings(_env_file=None, nats_inbox_prefix=inbox_prefix)  # type: ignore[call-arg]
    return NodeAddress(nats_url, None, "ws://127.0.0.1:1/ws/tts", "http://127.0.0.1:1/api/tts", settings)


async def ignore(_exc: Exception) -> None:
    """What a refusal is to those who only try."""


@contextlib.asynccontextmanager
async def listening_to_everything(caller: str) -> AsyncIterator[list[bytes]]:
    """What comes to a caller who subscribes to whatever may hold others' speech, as far as the server lets it."""
    received_payloads: list[bytes] = []

    async def on_message(message: Msg) -> None:
        received_payloads.append(message.data)

    connection = await nats.connect(caller, error_cb=ignore, allow_reconnect=False)
    try:
        for subject in (">", "*.>", "_INBOX.>", f"{INBOX_OF_NODE}.>", "tts.>", "tts.report.*.*", "$JS.>", "$KV.>"):
            await connection.subscribe(subject, cb=on_message)
        await connection.flush(5)
        yield received_payloads
    finally:
        await connection.close()


async def test_node_and_caller_work_with_their_permissions(tmp_path: Path, logs: Logs) -> None:
    (tmp_path / "nats.conf").write_text(with_users())
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
    at = server.url.removeprefix("nats://")
    node, caller = f"nats://node:secret-of-node@{at}", f"nats://caller:secret-of-caller@{at}"
    own = {"NATS_URL": node, "NATS_INBOX_PREFIX": INBOX_OF_NODE}
    stack = Stack(server, tmp_path, logs, **own, TTS_AUDIO_MAX_BYTES=64 << 20, TTS_PHRASE_CACHE="on")
    try:
        await server.start()
        await stack.start("oraserver", *BUS_OWNERS, SYNTH_SLOTS=1)
        async with listening_to_everything(caller) as received, Client(caller) as client:
            for way in (True, False):
                report = await client.say(TEXT, session_id="s", phone_id="p", use_websocket=way, fire_and_forget=False)
                assert isinstance(report, Report) and report.status == "delivered"
            assert await client.report("s", report.request_id) == report
            await client.cancel("s")
            [voice, *_] = await client.voices()
            assert voice.engine == "espeak"
            audio = await spoken(node)
            assert received, "the caller received nothing, so the next check would show nothing"
            leaks = [m for m in received if any(part in m for part in (*in_all_writings(TEXT), *audio))]
            assert not leaks, "a caller received text or audio that is for another one"
        assert {u["transport"] for u in (await stack.received("s"))["utterances"]} == {"websocket", "http"}

        for user, prefix, why, fix in (
            (caller, "_INBOX", 'publish to "$js.api.info"', "as the node's user"),
            (node, "_INBOX", 'subscription to "_inbox.', "NATS_INBOX_PREFIX"),
        ):
            found = await doctor.examine_nats(a_node(user, prefix))
            (jetstream,) = [finding for finding in found if finding.subject == "JetStream"]
            assert (jetstream.level, why in jetstream.says, fix in jetstream.fix) == ("problem", True, True), jetstream
        found = await doctor.examine_nats(a_node(node, INBOX_OF_NODE))
        assert {finding.subject for finding in found if finding.level != "ok"} == {"power cut"}, found  # no port is set

        refused: list[str] = []

        async def note(exc: Exception) -> None:
            refused.append(str(exc))

        connection = await nats.connect(caller, error_cb=note, allow_reconnect=False)
        await connection.subscribe("tts.audio.*.*")
        await connection.publish("tts.put.audio.s.r", b"forged")
        await connection.publish("$JS.API.STREAM.DELETE.TTS_AUDIO", b"")
        await connection.flush(5)
        async with asyncio.timeout(10):
            while len(refused) < 3:
                await asyncio.sleep(0.02)
        await connection.close()
        assert all("permissions violation" in text.lower() for text in refused)

        with pytest.raises(OrastreamError):
            async with Client(server.url) as stranger:
                await stranger.say("hello", session_id="s", phone_id="p")
        await stack.stop()
        assert "ermissions" not in "".join(process.text() for many in stack.processes.values() for process in many)
    finally:
        stack.kill()
        server.kill()
