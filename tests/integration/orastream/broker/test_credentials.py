"""NATS_CREDS with a nats-server in operator mode, and the messages after a refusal or for an invalid file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable, SettingsError
from tests.support.nats_operator import Operator
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = pytest.mark.integration


@pytest.fixture
def operator() -> Operator:
    """The operator that the server trusts."""
    return Operator()


@pytest.fixture
async def guarded(tmp_path: Path, logs: Logs, operator: Operator) -> AsyncIterator[NatsServer]:
    """A server that accepts only users of the operator."""
    (tmp_path / "nats.conf").write_text(operator.config())
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
    try:
        await server.start()
        yield server
    finally:
        server.kill()


async def test_service_and_client_connect_with_their_credentials_files(
    guarded: NatsServer, tmp_path: Path, logs: Logs, operator: Operator
) -> None:
    """Each has its own file. The service reconnects after a restart of the server."""
    stack = Stack(guarded, tmp_path, logs, NATS_CREDS=operator.creds(tmp_path / "node.creds"))
    try:
        (synth,) = await stack.start("synth", SYNTH_SLOTS=1, TTS_AUDIO_MAX_BYTES=64 << 20)
        async with Client(guarded.url, creds=operator.creds(tmp_path / "caller.creds")) as client:
            assert isinstance(await client.say("hello", session_id="s", phone_id="p", transport="none"), Acceptance)
            guarded.kill()
            await guarded.start()
            await until(synth.ready, "synth is connected again", timeout_s=20)
            await client.broker.wait_connected(20)
            report = await client.say(
                "again", session_id="s", phone_id="p", transport="none", fire_and_forget=False, wait_s=30
            )
            assert report.status == "delivered"
        await stack.stop()
    finally:
        stack.kill()


async def test_refused_client_gets_an_error_that_names_the_refusal(guarded: NatsServer, tmp_path: Path) -> None:
    """The error does not say that no server answers, and does not show the password in the URL."""
    strangers = Operator().creds(tmp_path / "stranger.creds")
    with_password = guarded.url.replace("nats://", "nats://user:secret-word@")
    for url, creds in [(guarded.url, strangers), (guarded.url, None), (with_password, None)]:
        with pytest.raises(NodeUnavailable, match="refuses this client .*NATS_CREDS.*NATS_URL") as caught:
            async with Broker(url, name="stranger", creds=creds, connect_timeout_s=1.0):
                pass
        assert "secret" not in str(caught.value)
    for url in ("nats://user:sec/ret@127.0.0.1:4222", "nats://127.0.0.1:port", "nats://127.0.0.1:1,ws://127.0.0.1:1"):
        with pytest.raises(SettingsError, match="^NATS_URL: ") as unusable:
            async with asyncio.timeout(2), Broker(url, name="service"):
                pass
        assert "sec" not in str(unusable.value) and "ret@" not in str(unusable.value)


async def test_refused_service_waits_and_logs_the_reason(guarded: NatsServer, tmp_path: Path, logs: Logs) -> None:
    stack = Stack(guarded, tmp_path, logs)
    try:
        process = stack.add("http_bridge")
        process.launch()

        async def refusal_logged() -> bool:
            return "refuses this client" in process.text()

        await until(refusal_logged, "the refusal is in the log", timeout_s=20)
        assert await process.stop() == 0 and "no NATS server answers" not in process.text()
    finally:
        stack.kill()


async def test_refused_reconnect_is_logged_once(
    guarded: NatsServer, tmp_path: Path, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """Once. The tries continue, and it connects when the server accepts its user again."""
    caplog.set_level("WARNING")  # a test of the command line may have set another
    async with Broker(guarded.url, name="b", creds=operator.creds(tmp_path / "b.creds"), connect_timeout_s=5) as broker:
        for config in (Operator().config(), operator.config()):
            guarded.kill()
            (tmp_path / "nats.conf").write_text(config)
            await guarded.start()

            async def refused() -> bool:
                return "not reconnected" in caplog.text

            await until(refused, "the refusal is logged")
        await broker.wait_connected(10)
    (line,) = [record.getMessage() for record in caplog.records if "not reconnected" in record.getMessage()]
    assert "refuses this client" in line and "NATS_CREDS" in line


async def test_invalid_credentials_file_is_refused_before_any_connection(tmp_path: Path, logs: Logs) -> None:
    """The error comes before any connection: no server runs here. A service ends with exit code 2."""
    creds = tmp_path / "user.creds"
    server = NatsServer(tmp_path, logs)  # not started
    with pytest.raises(SettingsError, match="^creds: cannot read"):
        async with Client(server.url, creds=creds):
            pass
    creds.write_text("user:password\n")
    with pytest.raises(SettingsError, match="^creds: .* is no credentials file"):
        async with asyncio.timeout(2), Client(server.url, creds=creds, connect_timeout_s=None):
            pass
    stack = Stack(server, tmp_path, logs, NATS_CREDS=creds)
    process = stack.add("http_bridge")
    try:
        process.launch()
        assert await process.ended(20) == 2
        assert "NATS_CREDS: " in process.text() and "Traceback" not in process.text()
    finally:
        stack.kill()
