"""A whole node by TLS alone: NATS with client certificates and nkeys, OraServer over wss and https."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import nkeys
import pytest

from orastream import Client, Report
from tests.support.certificates import Authority, Pair
from tests.support.nats_operator import Key
from tests.support.nats_server import NatsServer
from tests.support.oraserver_tls import tls_front
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다. The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True, slots=True)
class SecureNode:
    """A node, and a client of it with a certificate and an nkey of its own."""

    stack: Stack
    server: NatsServer
    client: Client
    seeds: tuple[str, ...]

    async def say(self, request: str, transport: str) -> Report:
        report = await self.client.say(
            *(TEXT,), session_id=request, phone_id="p", request_id=request, transport=transport, fire_and_forget=False
        )
        assert isinstance(report, Report)
        return report


@pytest.fixture
async def secure_node(tmp_path: Path, logs: Logs) -> AsyncIterator[SecureNode]:
    """The node's own files, the caller's, and OraServer's come from three authorities."""
    nats, ora = Authority(tmp_path, "nats-ca"), Authority(tmp_path, "ora-ca")
    node, caller = (Key.new(nkeys.PREFIX_BYTE_USER) for _ in range(2))
    users = ", ".join(f"{{ nkey: {user.public} }}" for user in (node, caller))
    config = nats.nats_config(nats.issue("nats"), verify=True) + f"authorization {{ users: [ {users} ] }}\n"
    (tmp_path / "nats.conf").write_text(config)
    (tmp_path / "node.nk").write_text(f"{node.seed}\n")
    bridge = ora.issue("bridge", "bridge@example.org")
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
    async with AsyncExitStack() as started:
        started.callback(server.kill)
        await server.start()
        stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=256 << 20)
        started.callback(stack.kill)
        context = ora.server_context(ora.issue("ora"), verify=True)
        port = await started.enter_async_context(tls_front(stack.oraserver_port, context))
        stack.settings |= settings_of(nats, nats.issue("node", "node@example.org"), "NATS")
        stack.settings |= settings_of(ora, bridge, "ORASERVER")
        stack.settings |= {
            "NATS_NKEY_SEED": tmp_path / "node.nk",
            "ORASERVER_WEBSOCKET_URL": f"wss://127.0.0.1:{port}/ws/tts",
            "ORASERVER_HTTP_URL": f"https://127.0.0.1:{port}/api/tts",
        }
        await stack.start("oraserver")
        await stack.start("synth", "ws_bridge", "http_bridge", "gateway")
        pair = nats.issue("caller", "caller@example.org")
        files = {"ca": nats.ca, "cert": pair.certificate, "key": pair.key}
        client = await started.enter_async_context(Client(server.url, nkey_seed=caller.seed, **files))
        yield SecureNode(stack, server, client, (node.seed, caller.seed))


def settings_of(authority: Authority, pair: Pair, prefix: str) -> dict[str, object]:
    return {f"{prefix}_CA": authority.ca, f"{prefix}_CERT": pair.certificate, f"{prefix}_KEY": pair.key}


async def test_speech_goes_from_client_to_oraserver_by_tls_alone(secure_node: SecureNode, logs: Logs) -> None:
    """Both transports, also after a restart of nats-server."""
    for round in ("first", "second"):
        for transport in ("websocket", "http"):
            report = await secure_node.say(f"{round}-{transport}", transport)
            assert (report.status, report.transport) == ("delivered", transport), report
        if round == "first":
            secure_node.server.kill()
            await secure_node.server.start()
            for service in ("synth", "ws_bridge", "http_bridge", "gateway"):
                await until(secure_node.stack.only(service).ready, f"{service} is connected again", timeout_s=30)
            await secure_node.client.broker.wait_connected(20)
    received = await secure_node.stack.received()
    assert all(not utterance["violations"] for utterance in received["utterances"]) and len(received["utterances"]) == 4
    for log in logs.values():
        assert not any(seed in log.read_text(errors="replace") for seed in secure_node.seeds)


async def test_report_names_a_refused_certificate_and_a_renewed_one_needs_no_restart(
    secure_node: SecureNode, tmp_path: Path
) -> None:
    """The client certificate for OraServer is replaced by one of a strange authority, then by the right one."""
    strange = Authority(tmp_path, "stranger-ca").issue("stranger", "bridge@example.org")
    kept = Pair(tmp_path / "kept.pem", tmp_path / "kept.key")
    used = Pair(tmp_path / "bridge.pem", tmp_path / "bridge.key")
    for source, copy in ((used.certificate, kept.certificate), (used.key, kept.key)):
        shutil.copy(source, copy)
    replace(strange, used)
    for transport in ("websocket", "http"):
        report = await secure_node.say(f"refused-{transport}", transport)
        assert report.status == "failed" and report.error is not None
        assert report.error.code == "oraserver_unreachable", report
        assert "accept the certificate in ORASERVER_CERT" in report.error.message, report.error.message
    for bridge in ("ws_bridge", "http_bridge"):
        log = secure_node.stack.only(bridge).text()
        assert "link to OraServer lost" in log and "accept the certificate in ORASERVER_CERT" in log
    replace(kept, used)
    for transport in ("websocket", "http"):
        report = await secure_node.say(f"renewed-{transport}", transport)
        assert report.status == "delivered", report


def replace(source: Pair, target: Pair) -> None:
    """Replace two files, one after the other, as a renewal does."""
    os.replace(source.certificate, target.certificate)
    os.replace(source.key, target.key)
