"""The client on a real nats-server, in an environment with the base installation of the library alone.

`make ranges` runs it twice: with the lowest and with the highest releases of the dependencies.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

import orastream
from orastream import Acceptance, BlockingClient, Client, NodeUnavailable, Report, SettingsError
from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.ending import ending_all, stored_request
from tests.support.nats_server import NatsServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own, with the streams of a node."""
    server = NatsServer(tmp_path, {})
    try:
        await server.start()
        async with Broker(server.url, name="streams", connect_timeout_s=5) as broker:
            await StreamKeeper(JetStream(broker), StreamLimits(audio_max_bytes=64 << 20)).ensure()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def js(server: NatsServer) -> AsyncIterator[JetStream]:
    """Its JetStream, on a connection of its own."""
    async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
        yield JetStream(broker)


def test_base_installation_has_no_package_of_an_extra() -> None:
    """Neither what services nor what the command line need."""
    modules = ("structlog", "pydantic_settings", "prometheus_client", "uvloop", "opentelemetry", "typer", "websockets")
    assert [name for name in modules if importlib.util.find_spec(name)] == []
    assert "site-packages" in str(orastream.__file__), "the sources are on the path; the wheel is to be tested"


async def test_requests_and_their_reports(server: NatsServer, js: JetStream) -> None:
    """Fire and forget, sync, a text stream: what is stored, and the report that a bridge would write."""
    async with Client(server.url) as client:
        accepted = await client.say("안녕하세요", session_id="forget", phone_id="p", speed=1.2)
        assert isinstance(accepted, Acceptance)
        request = (await stored_request(js, "forget")).request
        assert request is not None and (request.text, request.speed) == ("안녕하세요", 1.2)
        async with ending_all(js, "delivered", transport="websocket"):
            report = await client.say("hello", session_id="sync", phone_id="p", fire_and_forget=False, wait_s=10)
            assert isinstance(report, Report) and report.status == "delivered"
            assert (await client.wait("forget", accepted.request_id, 10)).transport == "websocket"
            async with client.utterance(session_id="stream", phone_id="p") as utterance:
                await utterance.write("하나, ")
                await utterance.write("둘.")
            assert (await utterance.wait(10)).request_id == utterance.request_id
            async with aclosing(client.reports("sync", history=True)) as reports:
                assert (await anext(reports)).status == "delivered"


async def test_blocking_client_and_a_restart_of_the_server(server: NatsServer, js: JetStream) -> None:
    """It reconnects: a request is stored after the server has been killed and started again."""
    with BlockingClient(server.url) as blocking:
        await asyncio.to_thread(lambda: blocking.say("first", session_id="s1", phone_id="p"))
        server.kill()
        await server.start()
        await asyncio.to_thread(lambda: blocking.say("second", session_id="s2", phone_id="p"))
        await asyncio.to_thread(blocking.close)
    for session, text in (("s1", "first"), ("s2", "second")):
        request = (await stored_request(js, session)).request
        assert request is not None and request.text == text


async def test_no_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NodeUnavailable):
        async with Client("nats://127.0.0.1:1", connect_timeout_s=0.5):
            pass


async def test_a_websocket_address_needs_another_package() -> None:
    """An extra has it; without it nats-py tries in vain, as if there were no server."""
    with pytest.raises(SettingsError, match="^url: ws://127.0.0.1:1 needs the package aiohttp; install it"):
        async with Client("ws://127.0.0.1:1", connect_timeout_s=None):
            pass
