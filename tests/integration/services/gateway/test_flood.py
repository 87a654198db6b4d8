"""A gateway process with 1 024 file descriptors, and more connections than that which never become a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterator

import aiohttp
import pytest

from orastream.jetstream.api import JetStream
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DESCRIPTORS, FLOOD = 1024, 1100
CALLER_S = 1.0
"""A request takes some 5 ms without the flood; on a busy machine with it, less than this."""
RECOVERED_S = 15.0
HEAD = b"POST /api/convert-tts/ HTTP/1.1\r\nHost: localhost\r\n"
BEGINNINGS = {
    "silence": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 500\r\n\r\n{",
    "idle": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@contextlib.contextmanager
def flood(port: int, beginning: bytes, sources: list[str]) -> Iterator[list[socket.socket]]:
    """Open FLOOD connections from the addresses `sources` in turn, each with `beginning`."""
    with contextlib.ExitStack() as opened:
        sockets = []
        for number in range(FLOOD):
            connection = opened.enter_context(socket.socket())
            connection.settimeout(10)
            connection.bind((sources[number % len(sources)], 0))
            connection.connect(("127.0.0.1", port))
            with contextlib.suppress(ConnectionError):  # closed already, to make room
                connection.sendall(beginning)
            sockets.append(connection)
        yield sockets


@pytest.fixture
async def gateway(stack: Stack, js: JetStream) -> ServiceProcess:
    process = stack.add("gateway")
    process.launch()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))  # long before it reads the limit
    await process.until_ready(process.ready)
    return process


def descriptors(process: ServiceProcess) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


async def speaks(process: ServiceProcess, number: int) -> float:
    """Send a request on a new connection; returns the seconds until it is accepted."""
    body = {"text": "안녕하세요", "sessionId": f"s{number}", "phoneId": "p1"}
    began_s = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http:
        async with http.post(f"{process.url}/api/convert-tts/", data=json.dumps(body)) as answer:
            assert answer.status == 202, await answer.text()
    return time.monotonic() - began_s


OTHERS = [f"127.0.0.{number}" for number in range(2, 10)]


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (OTHERS[:1], "connections_per_address"),
        (["127.0.0.1"], "connections_per_address"),  # the caller's own address
        (OTHERS, "connections"),  # none of them has many
    ],
    ids=["another address", "the same address", "many addresses"],
)
async def test_callers_are_served_during_a_flood_of_half_open_connections(
    gateway: ServiceProcess, sources: list[str], reason: str
) -> None:
    before, slowest = descriptors(gateway), 0.0
    for round_, (what, beginning) in enumerate(BEGINNINGS.items()):
        with flood(gateway.port, beginning, sources):
            for number in range(5):
                slowest = max(slowest, await speaks(gateway, 10 * round_ + number))
                began_s = time.monotonic()
                for path in ("/healthz", "/readyz", "/metrics"):
                    assert (await gateway.get(path))[0] == 200, what
                slowest = max(slowest, (time.monotonic() - began_s) / 3)
            assert descriptors(gateway) < DESCRIPTORS - 32, what
            assert slowest < CALLER_S, what
    assert await gateway.metric("orastream_gateway_refusals_total", reason=reason) > 500

    async def normal() -> bool:
        return descriptors(gateway) <= before + 2 and await gateway.metric("orastream_gateway_connections") <= 2

    await until(normal, "the connections are gone", timeout_s=RECOVERED_S)
    assert "Traceback" not in gateway.text() and "EMFILE" not in gateway.text()


async def test_half_open_connections_are_closed_without_pressure_too(gateway: ServiceProcess) -> None:
    """50 of each kind are far from any limit. They end within the limits for head and body."""
    before = descriptors(gateway)
    with contextlib.ExitStack() as opened:
        connections = []
        for beginning in ("silence", "half a head", "half a body"):
            for _ in range(50):
                connection = opened.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
                connection.sendall(BEGINNINGS[beginning])
                connections.append(connection)
        for _ in range(60):  # one byte a second extends nothing
            for connection in connections:
                with contextlib.suppress(ConnectionError):
                    connection.send(b"x")
            await asyncio.sleep(0.5)
            if descriptors(gateway) <= before + 2:
                break
        assert descriptors(gateway) <= before + 2
    assert await gateway.metric("orastream_gateway_refusals_total", reason="head_timeout") == 100
