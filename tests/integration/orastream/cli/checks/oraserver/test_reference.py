"""The reference OraServer keeps all rules, over ws and http and over wss and https, also when it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.cli.checks.oraserver.choice import ALL, PLAIN, STREAMS
from orastream.cli.checks.oraserver.command import examine
from orastream.cli.checks.oraserver.outcomes import Result
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from services.oraserver.app import OraServer, serve
from services.oraserver.v2.terms import StreamTerms
from tests.support.certificates import Authority
from tests.support.oraserver_tls import tls_front

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TOKEN = "secret"
NO_TLS = ClientTls(TlsFiles(ORASERVER))


def not_ok(results: list[Result]) -> dict[str, str]:
    return {each.rule.name: each.outcome.happened for each in results if each.outcome.level != "ok"}


async def test_over_ws_and_http(tmp_path: Path) -> None:
    async with serve(OraServer(tmp_path, token=TOKEN)) as server:
        target = ServerUnderTest(
            server.websocket_url, server.http_url, NO_TLS, TOKEN, f"{server.url}/received", idle_s=0.5
        )
        results = await examine(target, PLAIN)
        assert set(not_ok(results)) == {"restart"}
        assert (await server.received()).violations == 0


async def test_protocol_v2(tmp_path: Path) -> None:
    async with serve(OraServer(tmp_path, token=TOKEN, terms=StreamTerms(crc=True, played=True))) as server:
        target = ServerUnderTest(server.websocket_url, None, NO_TLS, TOKEN, f"{server.url}/received")
        assert set(not_ok(await examine(target, STREAMS))) == {"v2-restart"}


@pytest.mark.parametrize("fmt", ["wav", "opus"])
async def test_protocol_v2_with_the_least_credit_one_stream_and_one_format(tmp_path: Path, fmt: str) -> None:
    terms = StreamTerms(credit=4_096, streams=1, formats=(fmt,))
    async with serve(OraServer(tmp_path, terms=terms)) as server:
        target = ServerUnderTest(server.websocket_url, None, NO_TLS, received_url=f"{server.url}/received")
        results = not_ok(await examine(target, STREAMS))
    assert set(results) == {"v2-restart", "v2-token", "v2-damage", "v2-ack-bytes", "v2-stalled"}, results


async def test_over_wss_and_https(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve(OraServer(tmp_path / "data", token=TOKEN)) as server:
        port = int(server.url.rpartition(":")[2])
        async with tls_front(port, authority.server_context(authority.issue("server"))) as front:
            target = ServerUnderTest(
                f"wss://127.0.0.1:{front}/ws/tts",
                f"https://127.0.0.1:{front}/api/tts",
                ClientTls(TlsFiles(ORASERVER, ca=authority.ca)),
                TOKEN,
                f"https://127.0.0.1:{front}/received",
                idle_s=0.5,
            )
            results = await examine(target, [check for check in ALL if check.rule.name != "post-longest"])
    assert set(not_ok(results)) == {"restart", "v2-restart", "v2-damage"}
