"""POSTs over https: client certificates, and what is said when TLS fails."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.post.sink import HttpSink, http_client
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.sink import LinkLost, Speech
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from tests.support.certificates import Authority, Pair
from tests.support.oraserver_tls import receiver
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EXPIRED = timedelta(days=-1)
START = AudioStart(1, "pcm16", 22_050, 1, "espeak", "ko-KR")
Runs = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def sink_to(
    context: ssl.SSLContext | None, ca: Path | None, pair: Pair | None = None
) -> AsyncIterator[tuple[HttpSink, int]]:
    """A sink with these files, and a receiver with this context on the port."""
    files = TlsFiles(ORASERVER, ca, pair.certificate if pair else None, pair.key if pair else None)
    async with receiver(context) as port, http_client({}) as client:
        yield HttpSink(client, f"https://127.0.0.1:{port}/tts", DeliveryRules(), ClientTls(files)), port


async def post(to: HttpSink) -> None:
    """Deliver an utterance of 1 MiB. Raises LinkLost."""
    link = await to.connect("s", "p", lambda: None)
    link.begin(Speech("s", "p", "r", "r", "Hello."))
    for index in range(16):
        link.write(START, AudioChunk(1, index, 0, 0, bytes(1 << 16)))
    link.complete(START, AudioEnd(1, "complete", 16, 0, 0.0))
    await link.confirm(lambda: True)


async def reason(to: HttpSink) -> str:
    with pytest.raises(LinkLost) as caught:
        await post(to)
    assert "[SSL" not in str(caught.value) and "SSLContext" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2"])
async def test_post_with_a_client_certificate_is_taken(authority: Authority, tls12: bool) -> None:
    bridge = authority.issue("bridge", "bridge@example.org")
    context = authority.server_context(authority.issue("server"), verify=True, tls12=tls12)
    async with sink_to(context, authority.ca, bridge) as (to, _):
        await post(to)
        await post(to)


async def test_fault_of_the_servers_certificate_is_named(tmp_path: Path, authority: Authority) -> None:
    strangers = Authority(tmp_path, "stranger-ca")
    for pair, ca, says in [
        (authority.issue("s1"), strangers.ca, "comes from an authority that is not trusted here .*ORASERVER_CA"),
        (authority.issue("s2", "ora.example"), authority.ca, "is for another name .*in ORASERVER_HTTP_URL"),
        (authority.issue("s3", valid_for=EXPIRED), authority.ca, "has expired .*renew it"),
        (authority.issue_for_tomorrow("s4"), authority.ca, "is not valid yet"),
    ]:
        async with sink_to(authority.server_context(pair), ca) as (to, port):
            message = await reason(to)
            pattern = f"^the certificate of OraServer at 127.0.0.1:{port} {says}"
            assert pytest.RaisesExc(Exception, match=pattern).matches(Exception(message)), message


async def test_server_without_tls_is_named(authority: Authority) -> None:
    async with sink_to(None, authority.ca) as (to, port):
        assert f"OraServer at 127.0.0.1:{port} does not answer with TLS" in await reason(to)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2"])
def test_missing_or_refused_client_certificate_is_named(
    tmp_path: Path, authority: Authority, run: Runs, tls12: bool
) -> None:
    """The server may end the connection without an alert that says why; then the message asks."""
    context = authority.server_context(authority.issue("server"), verify=True, tls12=tls12)
    strangers = Authority(tmp_path, "stranger-ca").issue("stranger", "bridge@example.org")
    expired = authority.issue("expired", "bridge@example.org", valid_for=EXPIRED)

    async def check() -> None:
        for pair in (None, strangers, expired):
            async with sink_to(context, authority.ca, pair) as (to, port):
                for _ in range(3):
                    message = await reason(to)
                    assert f"OraServer at 127.0.0.1:{port}" in message, message
                    wanted = "ORASERVER_CERT and ORASERVER_KEY" if pair is None else "accept the certificate in"
                    assert wanted in message, message

    run(check())


async def test_a_reset_after_an_answer_says_nothing_about_certificates(authority: Authority) -> None:
    """Only the first POST of a connection can be ended by a refused certificate."""
    context = authority.server_context(authority.issue("server"))
    served = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with serving(once, context=context) as port, http_client({}) as client:
        files = ClientTls(TlsFiles(ORASERVER, authority.ca))
        to = HttpSink(client, f"https://127.0.0.1:{port}/tts", DeliveryRules(), files)
        await post(to)
        assert "certificate" not in await reason(to)
    assert served == 1
