"""`tls://` in NATS_URL means TLS or no connection: a server without TLS receives no byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from orastream import BlockingClient, Client
from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable
from tests.support.certificates import Certificates, issued
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port, until
from tests.support.raw_nats import INFO
from tests.support.services import ServiceProcess
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

PASSWORD = "opensesame"
OFFERS_NONE = "the server does not offer TLS; nothing was sent"

Listening = Callable[..., AbstractAsyncContextManager[NatsServer]]


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """Certificates for 127.0.0.1, which this process trusts through SSL_CERT_FILE."""
    certificates = issued(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    return certificates


@pytest.fixture
def listening(tmp_path: Path, logs: Logs) -> Listening:
    @asynccontextmanager
    async def listening(*flags: str, **more: str) -> AsyncIterator[NatsServer]:
        server = NatsServer(tmp_path, logs, *flags, **more)
        try:
            await server.start()
            yield server
        finally:
            server.kill()

    return listening


def tls(port: int) -> str:
    return f"tls://node:{PASSWORD}@127.0.0.1:{port}"


class Recorder:
    """A server without TLS that records what it receives, over all its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(INFO)
        while data := await reader.read(4096):
            self.received += data
            if b"PING\r\n" in data:
                writer.write(b"PONG\r\n")

    async def until_tried(self, times: int) -> None:
        """Return once `times` connections were made."""

        async def tried() -> bool:
            return self.connections >= times

        await until(tried, f"{times} connections", timeout_s=20)


@pytest.mark.parametrize("url", ["tls://{}", "TLS://{}", "nats://{},tls://127.0.0.1:1"], ids=["tls", "TLS", "mixed"])
async def test_client_sends_nothing_to_a_server_without_tls(url: str) -> None:
    recorder = Recorder()
    async with serving(recorder.serve) as port:
        server = f"node:{PASSWORD}@127.0.0.1:{port}"
        client = Client(url.format(server), connect_timeout_s=3.0)
        with pytest.raises(NodeUnavailable) as caught:
            async with client:
                pass
        if "," not in url:  # with two servers the last try may be of the other one
            assert OFFERS_NONE in str(caught.value) and "the address asks for TLS" in str(caught.value)
        assert PASSWORD not in str(caught.value)
        assert recorder.connections >= 2
    assert recorder.received == b""


def test_blocking_client_sends_nothing_to_a_server_without_tls(nats_server_in_plain_text: str) -> None:
    with BlockingClient(nats_server_in_plain_text) as client, pytest.raises(NodeUnavailable, match=OFFERS_NONE):
        client.say("네.", session_id="s", phone_id="p")


@pytest.fixture
def nats_server_in_plain_text(tmp_path: Path, logs: Logs) -> AsyncIterator[str]:
    server = NatsServer(tmp_path, logs)
    asyncio.run(server.start())
    yield server.url.replace("nats://", "tls://")
    server.kill()


@pytest.mark.parametrize("named", [False, True], ids=["it-changed", "it-named-another"])
async def test_client_sends_nothing_when_a_reconnect_finds_no_tls(certificates: Certificates, named: bool) -> None:
    """Neither CONNECT nor pending messages: to the server that no longer has TLS, or to one that it had announced."""
    recorder, gone, first = Recorder(), asyncio.Event(), b""

    async def changing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        if first:
            await (asyncio.sleep(0) if named else recorder.serve(reader, writer))
            return
        urls = b'"tls_required":true' + (b',"connect_urls":["127.0.0.1:%d"]' % other if named else b"")
        writer.write(INFO.replace(b'"proto":1', b'"proto":1,' + urls))
        await writer.start_tls(certificates.server_context)
        while not gone.is_set() and (line := await reader.readline()):
            first += line
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
                await writer.drain()
            if line.startswith(b"PUB bye"):
                return

    async with serving(recorder.serve) as other, serving(changing) as port:
        async with Broker(tls(port), name="test", connect_timeout_s=15) as broker:
            await broker.publish("bye", b"")

            async def lost() -> bool:
                return not broker.connected

            await until(lost, "the connection is lost")
            await broker.publish("secret", b"a text that nobody else may read")
            await recorder.until_tried(3)
            assert not broker.closed.is_set()
    assert PASSWORD.encode() in first, "the password was not sent over TLS"
    assert recorder.received == b""


async def test_client_accepts_only_a_certificate_of_its_ca(
    certificates: Certificates, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a certificate of the CA in SSL_CERT_FILE is accepted, also after a restart."""
    async with listening(*certificates.server_flags, "--user", "node", "--pass", PASSWORD) as server:
        async with Broker(tls(server.port), name="test", connect_timeout_s=10) as broker:
            server.kill()
            await server.start()

            async def connected_again() -> bool:
                return broker.reconnects > 0 and broker.connected

            await until(connected_again, "the broker is connected again", timeout_s=20)
            await broker.round_trip()
        blocking = BlockingClient(tls(server.port))
        assert await asyncio.to_thread(blocking.voices) == []
        await asyncio.to_thread(blocking.close)
        monkeypatch.delenv("SSL_CERT_FILE")
        await refused(server.port, "comes from an authority that is not trusted here .*SSL_CERT_FILE")


async def test_client_refuses_a_certificate_for_another_name(
    tmp_path: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = issued(tmp_path, "nats.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(others.ca))
    async with listening(*others.server_flags) as server:
        await refused(server.port, "is for another name .*use a name of the certificate in the address")


async def refused(port: int, reason: str) -> None:
    """Check that a client's error names the certificate, and what to do."""
    with pytest.raises(
        NodeUnavailable, match=f"the certificate of the NATS server at tls://127.0.0.1:{port} {reason}"
    ) as caught:
        async with Client(tls(port), connect_timeout_s=2.0):
            pass
    assert PASSWORD not in str(caught.value)


async def test_client_uses_tls_when_the_server_only_offers_it(
    tmp_path: Path, certificates: Certificates, listening: Listening
) -> None:
    """With `allow_non_tls` its INFO says that TLS is available, but not required."""
    monitoring = free_port()
    config = tmp_path / "nats.conf"
    files = f'cert_file: "{certificates.certificate}", key_file: "{certificates.key}"'
    config.write_text(f"http: 127.0.0.1:{monitoring}\nallow_non_tls: true\ntls {{ {files} }}\n")
    async with listening("-c", str(config)) as server:
        async with Broker(tls(server.port), name="test", connect_timeout_s=10), aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{monitoring}/connz") as answer:
                connections = (await answer.json())["connections"]
        assert [connection["tls_version"] for connection in connections] == ["1.3"]


async def test_service_waits_for_a_server_with_tls(
    tmp_path: Path, logs: Logs, certificates: Certificates, listening: Listening
) -> None:
    """It waits for a server with TLS, logs why, and works once that server runs."""
    settings = {"SSL_CERT_FILE": certificates.ca, "TTS_AUDIO_MAX_BYTES": 256 << 20}
    async with listening() as server:
        service = ServiceProcess("gateway", tmp_path, logs, {**settings, "NATS_URL": tls(server.port)})
        service.launch()
        try:

            async def reason_logged() -> bool:
                assert service.running, service.text()
                return service.text().count(OFFERS_NONE) >= 2

            await until(reason_logged, "the service logs why it waits", timeout_s=45)
            server.kill()
            secure = NatsServer(tmp_path, logs, *certificates.server_flags, name="with-tls", port=server.port)
            await secure.start()
            try:
                await service.until_ready(service.ready)
            finally:
                service.kill()
                secure.kill()
        finally:
            service.kill()
    assert PASSWORD not in service.text()
