"""Servers that listen on both families of addresses, on real sockets."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from orastream.contract.errors import SettingsError
from orastream.service import health, probe
from orastream.service.listening import listener
from orastream.service.metrics import Metrics
from tests.support.ipv6 import HAS_IPV6

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")]


async def nothing() -> str | None:
    return None


@pytest.mark.parametrize(
    ("host", "reached"),
    [("::", ["127.0.0.1", "[::1]"]), ("0.0.0.0", ["127.0.0.1"]), ("::1", ["[::1]"]), ("127.0.0.1", ["127.0.0.1"])],
)
async def test_health_answers_on_each_family_of_its_host(host: str, reached: list[str]) -> None:
    async with health.serve(host, 0, metrics=Metrics(), lacking=nothing) as port, aiohttp.ClientSession() as http:
        for at in ("127.0.0.1", "[::1]"):
            for path in ("/healthz", "/readyz", "/metrics"):
                for method in ("GET", "HEAD"):
                    call = http.request(method, f"http://{at}:{port}{path}")
                    if at in reached:
                        async with call as answer:
                            assert (answer.status, bool(await answer.read())) == (200, method == "GET")
                    else:
                        with pytest.raises(aiohttp.ClientConnectorError):
                            await call


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_port_that_one_family_has_taken_is_named(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family is socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=family) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"TTS_HEALTH_PORT: cannot listen on port {port} of ::"):
            async with health.serve("::", port, metrics=Metrics(), lacking=nothing):
                pass


def test_probe_finds_a_service_that_listens_on_ipv6_alone() -> None:
    with listener("::1", 0) as server:
        server.settimeout(5)
        with pytest.raises(TimeoutError):  # connected: nothing answers here
            probe.answer(server.getsockname()[1], "/readyz", timeout_s=0.1)
        server.accept()[0].close()


@pytest.mark.parametrize("host", ["203.0.113.1", "2001:db8::1", "a..b", "ü" * 64])
async def test_a_host_that_is_no_address_of_this_machine_is_named(host: str) -> None:
    """Each server of the node says so, also those of aiohttp."""
    with pytest.raises(SettingsError, match=f"^TTS_HOST: {host} is no address of this machine"):
        async with health.serve(host, 0, metrics=Metrics(), lacking=nothing):
            pass
