"""What doctor says about TLS that fails, with NATS and with OraServer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orastream.broker import Access
from orastream.cli.checks import doctor
from orastream.cli.checks.diagnosis import Finding
from orastream.cli.node.settings import CliSettings, NodeAddress
from tests.support.certificates import Authority
from tests.support.nats_server import NatsServer
from tests.support.oraserver_tls import receiver
from tests.support.processes import Logs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EXPIRED = timedelta(days=-1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def a_node(nats_url: str, port: int, *, access: Access | None = None, **settings: object) -> NodeAddress:
    made = CliSettings(_env_file=None, **settings)  # type: ignore[arg-type]
    return NodeAddress(nats_url, access, f"wss://127.0.0.1:{port}/ws", f"https://127.0.0.1:{port}/tts", made)


async def finding_about_nats(server: NatsServer, access: Access) -> Finding:
    return (await doctor.examine_nats(a_node(server.url.replace("nats://", "tls://"), 1, access=access)))[0]


async def test_doctor_names_what_is_wrong_with_tls_to_nats(tmp_path: Path, logs: Logs, authority: Authority) -> None:
    caller = authority.issue("caller", "caller@example.org")
    (tmp_path / "nats.conf").write_text(authority.nats_config(authority.issue("server"), verify=True))
    server = NatsServer(tmp_path, logs, "-c", str(tmp_path / "nats.conf"))
    try:
        await server.start()
        given = {"ca": authority.ca, "cert": caller.certificate, "key": caller.key}
        assert (await finding_about_nats(server, Access(**given))).level == "ok"
        strange = Authority(tmp_path, "stranger-ca")
        for access, says, fix in [
            (Access(ca=strange.ca), "comes from an authority that is not trusted here", "NATS_CA"),
            (Access(ca=authority.ca), "client certificate", "set NATS_CERT and NATS_KEY"),
            (Access(ca=tmp_path / "gone.pem"), "NATS_CA: cannot read", "correct it"),
        ]:
            finding = await finding_about_nats(server, access)
            assert finding.level == "problem" and says in finding.says and fix in finding.fix, finding
    finally:
        server.kill()


async def test_doctor_names_a_nats_server_without_tls(nats_server: NatsServer, authority: Authority) -> None:
    finding = await finding_about_nats(nats_server, Access(ca=authority.ca))
    assert (
        "the server does not offer TLS" in finding.says
        and "configure TLS in nats-server" in f"{finding.says}{finding.fix}"
    )


async def test_doctor_names_what_is_wrong_with_tls_to_oraserver(tmp_path: Path, authority: Authority) -> None:
    bridge = authority.issue("bridge", "bridge@example.org")
    expired = authority.issue("expired", valid_for=EXPIRED)
    server = authority.issue("server")
    files = {"oraserver_ca": authority.ca, "oraserver_cert": bridge.certificate, "oraserver_key": bridge.key}
    mutual = authority.server_context(server, verify=True)
    for context, settings, says, fix in [
        (mutual, files, "", ""),
        (mutual, {"oraserver_ca": authority.ca}, "ended the connection before it answered", "set ORASERVER_CERT"),
        (authority.server_context(expired), files, "has expired", "renew it on the server"),
        (authority.server_context(server), {}, "from an authority that is not trusted here", "set ORASERVER_CA"),
        (None, files, "does not answer with TLS", "configure TLS on the server"),
    ]:
        async with receiver(context) as port:
            findings = await doctor.examine_oraserver(a_node("nats://127.0.0.1:1", port, **settings))
        for finding in findings:
            assert (finding.level == "ok") == (says == ""), finding
            assert says in finding.says and fix in finding.fix, finding
            assert "SSLContext" not in finding.says and "_ssl" not in finding.says


async def test_doctor_names_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    node = a_node("nats://127.0.0.1:1", 1, oraserver_ca=tmp_path / "gone.pem")
    (finding,) = await doctor.examine_oraserver(node)
    assert finding.level == "problem" and finding.says.startswith("ORASERVER_CA: cannot read")
