"""The certificates of `init-auth --tls` on a real server: each role connects with its env file, others do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.cli.auth.plan import TLS, Wishes, carry_out
from orastream.cli.auth.server_config import CONTAINER_AUTH
from orastream.contract.errors import NodeUnavailable
from orastream.service.access_settings import NatsAccessSettings
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
async def server(tmp_path: Path, logs: Logs) -> AsyncIterator[AccountServer]:
    server = AccountServer(tmp_path, logs)
    carry_out(server.auth, Wishes(tls=True))
    here = server.auth / "server"
    tls = server.auth / TLS
    tls.write_text(tls.read_text().replace(CONTAINER_AUTH, str(here)))
    with (tmp_path / "accounts-server.conf").open("a") as config:
        config.write('include "auth/server/tls.conf"\n')
    try:
        await server.start()
        yield server
    finally:
        server.kill()


def settings(server: AccountServer, role: str, **changes: str | None) -> NatsAccessSettings:
    env: dict[str, str | None] = {**server.env(role), **changes}
    certificates = str(server.auth / "tls" / role)
    own = {k.lower(): v.replace("/etc/nats/tls", certificates) for k, v in env.items() if v is not None}
    return NatsAccessSettings(_env_file=None, **own)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("role", ["synth", "llm"])
async def test_a_role_connects_with_its_env_file(server: AccountServer, role: str) -> None:
    url, env = server.url.replace("nats://", "tls://"), server.env(role)
    access = settings(server, role).nats_access
    async with Broker(url, name=role, access=access, inbox_prefix=env["NATS_INBOX_PREFIX"], connect_timeout_s=10) as it:
        await it.round_trip()


@pytest.mark.parametrize("missing", [("NATS_CERT", "NATS_KEY"), ("NATS_CA",), ("NATS_NKEY_SEED",)])
async def test_without_a_part_of_it_nobody_connects(server: AccountServer, missing: tuple[str, ...]) -> None:
    url = server.url.replace("nats://", "tls://")
    access = settings(server, "llm", **dict.fromkeys(missing)).nats_access
    with pytest.raises(NodeUnavailable):
        async with Broker(url, name="llm", access=access, connect_timeout_s=3):
            pass
