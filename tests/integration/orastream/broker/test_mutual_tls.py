"""A private authority, client certificates and nkeys, with a real nats-server; and the message after a refusal."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import nkeys
import pytest
import uvloop

from orastream import Acceptance, BlockingClient, Client
from orastream.broker import Access, Broker
from orastream.contract.errors import NodeUnavailable, SettingsError
from tests.support.certificates import Authority, Pair
from tests.support.nats_operator import Key
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port, until
from tests.support.raw_nats import INFO
from tests.support.services import Stack
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

EXPIRED = timedelta(days=-1)
OF_NATS_PY = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")
"""nats-py calls aiohttp so for a WebSocket."""
Listening = Callable[[str], AbstractAsyncContextManager[NatsServer]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def certificate(authority: Authority) -> Pair:
    """The server's."""
    return authority.issue("server")


@pytest.fixture
def caller(authority: Authority) -> Pair:
    """A client's."""
    return authority.issue("caller", "caller@example.org")


@pytest.fixture
def listening(tmp_path: Path, logs: Logs) -> Listening:
    """Runs a server with a configuration, inside a context."""

    @asynccontextmanager
    async def listening(config: str) -> AsyncIterator[NatsServer]:
        (tmp_path / "nats.conf").write_text(config)
        server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
        try:
            await server.start()
            yield server
        finally:
            server.kill()

    return listening


async def refusal(server: NatsServer, scheme: str = "nats", **options: Any) -> str:
    """Return the error of a client that cannot connect."""
    url = server.url.replace("nats://", f"{scheme}://")
    with pytest.raises(NodeUnavailable) as caught:
        async with Client(url, connect_timeout_s=2.0, **options):
            pass
    message = str(caught.value)
    assert "no NATS server answers" not in message and "[SSL" not in message
    return message


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_client_with_a_certificate_is_accepted_and_reconnects(
    authority: Authority, certificate: Pair, caller: Pair, listening: Listening, scheme: str
) -> None:
    async with listening(authority.nats_config(certificate, verify=True)) as server:
        access = Access(ca=authority.ca, cert=caller.certificate, key=caller.key)
        url = server.url.replace("nats://", f"{scheme}://")
        async with Broker(url, name="test", access=access, connect_timeout_s=10) as broker:
            server.kill()
            await server.start()

            async def connected_again() -> bool:
                return broker.reconnects > 0 and broker.connected

            await until(connected_again, "the broker is connected again", timeout_s=20)
            await broker.round_trip()


async def test_certificate_alone_can_be_the_user(
    authority: Authority, certificate: Pair, caller: Pair, listening: Listening
) -> None:
    """With `verify_and_map` nats-server takes the user from the certificate."""
    block = authority.nats_config(certificate, verify=True).replace("verify:", "verify_and_map:")
    async with listening(f"{block}authorization {{ users: [ {{ user: 'caller@example.org' }} ] }}\n") as server:
        async with Client(server.url, ca=authority.ca, cert=caller.certificate, key=caller.key) as client:
            assert await client.voices() == []
        stranger = authority.issue("other", "other@example.org")
        message = await refusal(server, ca=authority.ca, cert=stranger.certificate, key=stranger.key)
        assert "refuses this client" in message


async def test_blocking_client_with_a_certificate_is_accepted(
    authority: Authority, certificate: Pair, caller: Pair, listening: Listening
) -> None:
    async with listening(authority.nats_config(certificate, verify=True)) as server:
        client = BlockingClient(server.url, ca=authority.ca, cert=caller.certificate, key=caller.key)
        assert await asyncio.to_thread(client.voices) == []
        await asyncio.to_thread(client.close)


def test_missing_client_certificate_is_named_with_each_event_loop(
    tmp_path: Path, authority: Authority, certificate: Pair, listening: Listening
) -> None:
    """asyncio often sees a broken pipe in place of the server's alert, uvloop the alert."""

    async def check() -> None:
        async with listening(authority.nats_config(certificate, verify=True)) as server:
            for _ in range(3):
                message = await refusal(server, ca=authority.ca)
                assert "client certificate" in message and message.endswith("; set cert and key")

    asyncio.run(check())
    uvloop.run(check())


async def test_refused_client_certificate_is_named(
    tmp_path: Path, authority: Authority, certificate: Pair, listening: Listening
) -> None:
    strangers = Authority(tmp_path, "stranger-ca").issue("stranger", "caller@example.org")
    expired = authority.issue("expired", "caller@example.org", valid_for=EXPIRED)
    async with listening(authority.nats_config(certificate, verify=True)) as server:
        for pair in (strangers, expired):
            for _ in range(3):
                message = await refusal(server, ca=authority.ca, cert=pair.certificate, key=pair.key)
                assert "does not accept the certificate in cert" in message
                assert message.endswith("set cert and key to a valid one of an authority that the server trusts")


@OF_NATS_PY
@pytest.mark.parametrize("scheme", ["nats", "wss"])
async def test_fault_of_the_servers_certificate_is_named(
    tmp_path: Path, authority: Authority, listening: Listening, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = Authority(tmp_path, "stranger-ca")
    port = free_port()
    for pair, ca, says in [
        (authority.issue("s1"), strangers.ca, "comes from an authority that is not trusted here .*the file in ca"),
        (authority.issue("s2", "nats.example.org"), authority.ca, "is for another name .*a name of the certificate"),
        (authority.issue("s3", valid_for=EXPIRED), authority.ca, "has expired .*renew it on the server"),
        (authority.issue_for_tomorrow("s4"), authority.ca, "is not valid yet .*correct the clock"),
    ]:
        block = authority.nats_config(pair)
        async with listening(f"{block}websocket {{ listen: '127.0.0.1:{port}'\n{block} }}\n") as server:
            server.url = f"nats://127.0.0.1:{port if scheme == 'wss' else server.port}"
            message = await refusal(server, scheme, ca=ca)
            gc.collect()  # an HTTP session that was not closed would log an error now
            assert "Unclosed" not in caplog.text
            assert pytest.RaisesExc(Exception, match=f"^the certificate of the NATS server .*{says}").matches(
                Exception(message)
            ), message


@OF_NATS_PY
async def test_client_connects_by_wss(
    authority: Authority, certificate: Pair, caller: Pair, listening: Listening
) -> None:
    port = free_port()
    block = authority.nats_config(certificate, verify=True)
    async with listening(f"websocket {{ listen: '127.0.0.1:{port}'\n{block} }}\n"):
        options = {"ca": authority.ca, "cert": caller.certificate, "key": caller.key}
        async with Client(f"wss://127.0.0.1:{port}", **options) as client:
            assert await client.voices() == []


async def test_client_with_a_ca_sends_nothing_in_plain_text(authority: Authority) -> None:
    received = b""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        writer.write(b'INFO {"server_id":"a","version":"2.11.0","max_payload":1048576}\r\n')
        received += await reader.read(4096)

    async with serving(plain) as port:
        url = f"nats://user:opensesame@127.0.0.1:{port}"
        for options, names in (
            ({"ca": authority.ca}, "ca"),
            ({"ca": authority.ca, "nkey_seed": new_user().seed}, "ca"),
        ):
            with pytest.raises(NodeUnavailable, match=f"^{names} asks for TLS .*nothing was sent.*remove {names}"):
                async with Client(url, connect_timeout_s=1.0, **options):
                    pass
    assert received == b""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "no NATS server answers .*TimeoutError"),
        (b"\0" * 1000, "does not answer with TLS"),
        (b"", "wants a client certificate and got none .*set cert and key"),
    ],
    ids=["stalls", "sends-garbage", "closes"],
)
async def test_handshake_that_does_not_end_has_a_time_limit_and_a_reason(
    authority: Authority, answer: bytes | None, words: str
) -> None:
    """The server asks for TLS and a client certificate, and then does not handshake."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO.replace(b'"proto":1', b'"proto":1,"tls_required":true,"tls_verify":true'))
        await reader.read(1)
        writer.write(answer or b"")
        if answer is None:
            await asyncio.sleep(30)

    async with serving(serve) as port, asyncio.timeout(10):
        with pytest.raises(NodeUnavailable, match=words):
            async with Client(f"nats://127.0.0.1:{port}", ca=authority.ca, connect_timeout_s=3.0):
                pass


async def test_renewed_certificate_is_used_at_the_next_reconnect(
    tmp_path: Path,
    authority: Authority,
    certificate: Pair,
    caller: Pair,
    listening: Listening,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a restart the server refuses the certificate; the connection is back when the files have been replaced."""
    caplog.set_level("WARNING")  # a test of the command line may have set another
    stranger = Authority(tmp_path, "stranger-ca").issue("stranger", "caller@example.org")
    async with listening(authority.nats_config(certificate, verify=True)) as server:
        access = Access(ca=authority.ca, cert=caller.certificate, key=caller.key)
        async with Broker(server.url, name="test", access=access, connect_timeout_s=10) as broker:
            os.replace(stranger.certificate, caller.certificate)
            os.replace(stranger.key, caller.key)
            server.kill()
            await server.start()

            async def refused() -> bool:
                return "does not accept the certificate in NATS_CERT" in caplog.text

            await until(refused, "the reason why it is not reconnected is logged", timeout_s=20)
            authority.issue("caller", "caller@example.org")
            await broker.wait_connected(20)
            await broker.round_trip()
    assert caplog.text.count("not reconnected") == 1


# ---- handshake_first


async def test_client_begins_with_tls_if_asked_to(
    tmp_path: Path, logs: Logs, authority: Authority, certificate: Pair
) -> None:
    (tmp_path / "nats.conf").write_text(authority.nats_config(certificate, more=", handshake_first: true"))
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
    server.launch()
    try:
        access = Access(ca=authority.ca, tls_handshake_first=True)
        async with Broker(server.url, name="test", access=access, connect_timeout_s=30) as broker:
            server.kill()
            server.launch()
            await until_reconnected(broker)
        with pytest.raises(NodeUnavailable, match="if it runs and has handshake_first, set tls_handshake_first$"):
            async with Client(server.url, ca=authority.ca, connect_timeout_s=4):
                pass
    finally:
        server.kill()


async def test_client_that_begins_with_tls_names_the_option_if_the_server_does_not(
    authority: Authority, certificate: Pair, listening: Listening
) -> None:
    async with listening(authority.nats_config(certificate)) as server:
        message = await refusal(server, ca=authority.ca, tls_handshake_first=True)
    assert "does not begin with TLS" in message and "remove tls_handshake_first" in message


async def until_reconnected(broker: Broker) -> None:
    async def connected_again() -> bool:
        return broker.reconnects > 0 and broker.connected

    await until(connected_again, "the broker is connected again", timeout_s=20)
    await broker.round_trip()


# ---- nkeys


def new_user() -> Key:
    return Key.new(nkeys.PREFIX_BYTE_USER)


def nkey_config(*users: Key) -> str:
    return f"authorization {{ users: [ {', '.join(f'{{ nkey: {user.public} }}' for user in users)} ] }}\n"


@pytest.mark.parametrize("in_file", [False, True], ids=["value", "file"])
async def test_nkey_user_is_accepted_and_reconnects(listening: Listening, tmp_path: Path, in_file: bool) -> None:
    user = new_user()
    seed: str | Path = user.seed
    if in_file:
        seed = tmp_path / "user.nk"
        seed.write_text(f"{user.seed}\n")
    async with listening(nkey_config(user)) as server:
        access = Access(nkey_seed=seed)
        async with Broker(server.url, name="test", access=access, connect_timeout_s=10) as broker:
            server.kill()
            await server.start()
            await until_reconnected(broker)
        client = BlockingClient(server.url, nkey_seed=seed)
        assert await asyncio.to_thread(client.voices) == []
        await asyncio.to_thread(client.close)


async def test_renewed_seed_is_used_at_the_next_reconnect(listening: Listening, tmp_path: Path) -> None:
    before, after = new_user(), new_user()
    path = tmp_path / "user.nk"
    path.write_text(before.seed)
    async with listening(nkey_config(before)) as server:
        access = Access(nkey_seed=path)
        async with Broker(server.url, name="test", access=access, connect_timeout_s=10) as broker:
            server.kill()
            (tmp_path / "nats.conf").write_text(nkey_config(after))
            path.write_text(after.seed)
            await server.start()
            await until_reconnected(broker)


async def test_unknown_nkey_is_named(listening: Listening) -> None:
    stranger = new_user()
    async with listening(nkey_config(new_user())) as server:
        message = await refusal(server, nkey_seed=stranger.seed)
    assert "refuses this client" in message and "the public key of nkey_seed" in message
    assert stranger.seed not in message


async def test_invalid_files_are_refused_before_any_connection(authority: Authority, caller: Pair) -> None:
    """No server runs here. The errors name the arguments."""
    for options, message in [
        ({"ca": caller.key}, "^ca: .*holds a private key and no certificate"),
        ({"cert": caller.key, "key": caller.certificate}, "^cert: .*holds a private key"),
        ({"cert": caller.certificate}, "^cert: key is missing"),
        ({"nkey_seed": "SUXXX", "creds": Path("a")}, "^creds, nkey_seed: only one"),
        ({"nkey_seed": "SUXXX"}, "^nkey_seed: cannot read SUXXX"),
    ]:
        with pytest.raises(SettingsError, match=message):
            async with asyncio.timeout(5), Client("nats://127.0.0.1:1", connect_timeout_s=None, **options):
                pass


# ---- services


async def test_services_and_client_by_mutual_tls_and_nkeys(
    tmp_path: Path, logs: Logs, authority: Authority, certificate: Pair, caller: Pair, listening: Listening
) -> None:
    node, user = new_user(), new_user()
    (tmp_path / "node.nk").write_text(node.seed)
    config = authority.nats_config(certificate, verify=True) + nkey_config(node, user)
    async with listening(config) as server:
        settings = {
            **{"NATS_CA": authority.ca, "NATS_CERT": caller.certificate, "NATS_KEY": caller.key},
            "NATS_NKEY_SEED": tmp_path / "node.nk",
        }
        stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, **settings)
        try:
            (synth,) = await stack.start("synth", SYNTH_SLOTS=1)
            options = {"ca": authority.ca, "cert": caller.certificate, "key": caller.key}
            async with Client(server.url, nkey_seed=user.seed, **options) as client:
                accepted = await client.say("hello", session_id="s", phone_id="p", transport="none")
                assert isinstance(accepted, Acceptance)
                server.kill()
                await server.start()
                await until(synth.ready, "synth is connected again", timeout_s=30)
                await client.broker.wait_connected(20)
                report = await client.wait("s", accepted.request_id, 30)
                assert report.status == "delivered"
            await stack.stop()
        finally:
            stack.kill()
    assert not any(key.seed in log.read_text() for log in logs.values() for key in (node, user))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"NATS_CERT": "caller.pem"}, "NATS_CERT: NATS_KEY is missing"),
        ({"NATS_CERT": "caller.key", "NATS_KEY": "caller.pem"}, "NATS_CERT: .* holds a private key"),
        ({"NATS_CERT": "server.pem", "NATS_KEY": "caller.key"}, "NATS_CERT, NATS_KEY: .*does not belong"),
        ({"NATS_CA": "gone.pem"}, "NATS_CA: cannot read .*No such file"),
        ({"NATS_NKEY_SEED": "SUXX", "NATS_CREDS": "a.creds"}, "NATS_CREDS, NATS_NKEY_SEED: only one"),
        ({"ORASERVER_CA": "gone.pem"}, "ORASERVER_CA: cannot read"),
        ({"ORASERVER_KEY": "caller.key"}, "ORASERVER_KEY: ORASERVER_CERT is missing"),
        ({"ORASERVER_CA": "ca.pem"}, "ORASERVER_HTTP_URL: http://.* is without TLS, but ORASERVER_CA is set"),
    ],
)
async def test_service_ends_with_exit_code_2_for_invalid_files(
    tmp_path: Path,
    logs: Logs,
    authority: Authority,
    certificate: Pair,
    caller: Pair,
    settings: dict[str, str],
    words: str,
) -> None:
    stack = Stack(NatsServer(tmp_path, logs), tmp_path, logs)  # the server is not started
    process = stack.add("http_bridge", **settings)
    try:
        process.launch()
        assert await process.ended(30) == 2
        assert pytest.RaisesExc(Exception, match=words).matches(Exception(process.text())), process.text()
        assert "Traceback" not in process.text()
    finally:
        stack.kill()


async def test_service_logs_why_it_waits_and_connects_once_it_has_a_certificate(
    tmp_path: Path, logs: Logs, authority: Authority, certificate: Pair, caller: Pair, listening: Listening
) -> None:
    """A file that replaces an expired certificate is enough: no restart."""
    expired = authority.issue("node", "node@example.org", valid_for=EXPIRED)
    async with listening(authority.nats_config(certificate, verify=True)) as server:
        settings = {"NATS_CA": authority.ca, "NATS_CERT": expired.certificate, "NATS_KEY": expired.key}
        stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, **settings)
        try:
            process = stack.add("gateway")
            process.launch()

            async def reason_logged() -> bool:
                return "does not accept the certificate in NATS_CERT" in process.text()

            await until(reason_logged, "the reason is logged", timeout_s=30)
            fresh = dataclasses.replace(authority.issue("node", "node@example.org"))
            assert fresh == expired
            await process.until_ready(process.ready)
            assert await process.stop() == 0
        finally:
            stack.kill()
