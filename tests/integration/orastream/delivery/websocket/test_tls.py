"""`wss://`: the files of ORASERVER_CA, ORASERVER_CERT and ORASERVER_KEY, and what is said when TLS fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from orastream.contract.errors import SettingsError
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from services.ws_bridge.service import serve
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.certificates import Authority, Pair
from tests.support.oraserver_tls import receiver

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EXPIRED = timedelta(days=-1)
Runs = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def bridge(authority: Authority) -> Pair:
    """The client certificate."""
    return authority.issue("bridge", "bridge@example.org")


def tls(ca: Path | None = None, pair: Pair | None = None) -> ClientTls:
    return ClientTls(TlsFiles(ORASERVER, ca, pair.certificate if pair else None, pair.key if pair else None))


async def opened(port: int, files: ClientTls, host: str = "127.0.0.1") -> WebSocketConnection:
    return await WebSocketConnection.open(f"wss://{host}:{port}/ws", {}, lambda: None, files)


async def reason(opening: Awaitable[WebSocketConnection]) -> str:
    with pytest.raises(LinkLost) as caught:
        await opening
    assert not caught.value.refused, "a retry may succeed after a renewal"
    assert "[SSL" not in str(caught.value) and "_ssl.c" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2"])
async def test_connection_opens_with_a_client_certificate(authority: Authority, bridge: Pair, tls12: bool) -> None:
    context = authority.server_context(authority.issue("server"), verify=True, tls12=tls12)
    async with receiver(context) as port:
        connection = await opened(port, tls(authority.ca, bridge))
        await connection.confirm()
        assert connection.lost is None
        connection.close()


async def test_fault_of_the_servers_certificate_is_named(tmp_path: Path, authority: Authority) -> None:
    strangers = Authority(tmp_path, "stranger-ca")
    for pair, ca, says in [
        (authority.issue("s1"), strangers.ca, "comes from an authority that is not trusted here .*ORASERVER_CA"),
        (authority.issue("s1"), None, r"comes from an authority .*set ORASERVER_CA \(or SSL_CERT_FILE\)"),
        (authority.issue("s2", "ora.example"), authority.ca, "is for another name .*in ORASERVER_WEBSOCKET_URL"),
        (authority.issue("s3", valid_for=EXPIRED), authority.ca, "has expired .*renew it"),
        (authority.issue_for_tomorrow("s4"), authority.ca, "is not valid yet"),
    ]:
        async with receiver(authority.server_context(pair)) as port:
            message = await reason(opened(port, tls(ca)))
            pattern = f"^the certificate of OraServer at 127.0.0.1:{port} {says}"
            assert pytest.RaisesExc(Exception, match=pattern).matches(Exception(message)), message


async def test_server_without_tls_is_named(authority: Authority) -> None:
    async with receiver(None) as port:
        message = await reason(opened(port, tls(authority.ca)))
    assert f"OraServer at 127.0.0.1:{port} does not answer with TLS" in message and "ORASERVER_WEBSOCKET_URL" in message


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2"])
def test_missing_or_refused_client_certificate_is_named(
    tmp_path: Path, authority: Authority, run: Runs, tls12: bool
) -> None:
    """The server may end the connection without an alert that says why; then the message asks."""
    server = authority.issue("server")
    strangers = Authority(tmp_path, "stranger-ca").issue("stranger", "bridge@example.org")
    expired = authority.issue("expired", "bridge@example.org", valid_for=EXPIRED)

    async def check() -> None:
        async with receiver(authority.server_context(server, verify=True, tls12=tls12)) as port:
            for pair in (None, strangers, expired):
                for _ in range(3):
                    message = await reason(opened(port, tls(authority.ca, pair)))
                    assert f"OraServer at 127.0.0.1:{port}" in message
                    if pair is None:
                        assert message.endswith("set ORASERVER_CERT and ORASERVER_KEY"), message
                    else:
                        assert "accept the certificate in ORASERVER_CERT" in message, message

    run(check())


async def test_renewed_certificate_is_used_for_the_next_connection(authority: Authority) -> None:
    expired = authority.issue("bridge", "bridge@example.org", valid_for=EXPIRED)
    files = tls(authority.ca, expired)
    async with receiver(authority.server_context(authority.issue("server"), verify=True)) as port:
        await reason(opened(port, files))
        authority.issue("bridge", "bridge@example.org")
        connection = await opened(port, files)
        connection.close()


def test_address_without_tls_is_refused_when_a_file_is_given(authority: Authority, bridge: Pair) -> None:
    def settings(**more: Any) -> WsBridgeSettings:
        return WsBridgeSettings(_env_file=None, oraserver_ca=authority.ca, **more)

    with pytest.raises(
        SettingsError, match="^ORASERVER_WEBSOCKET_URL: ws://.* is without TLS, but ORASERVER_CA is set"
    ):
        serve(settings())
    secure = {"oraserver_websocket_url": "wss://a/ws"}
    serve(settings(**secure))  # the address for HTTP is not used
    with pytest.raises(SettingsError, match="^ORASERVER_HTTP_URL: http://.*; write https://, or remove ORASERVER_CA"):
        serve(settings(**secure, delivery_fallback="http"))
    serve(settings(**secure, delivery_fallback="http", oraserver_http_url="https://a/tts"))
