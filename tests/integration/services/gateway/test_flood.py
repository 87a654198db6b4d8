"""A gateway process with 1 024 file descriptors, and more connections than that which never become a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import aiohttp
import pytest

from orastream.jetstream.api import JetStream
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DESCRIPTORS, FLOOD = 1024, 1100
CALLER_S = 5.0
"""The first call waits until the flood's connections are accepted (0.2 s); this is for a machine with other work."""
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
    gateway: ServiceProcess, sources: list[str], reason: str, record_property: Callable[[str, object], None]
) -> None:
    before = descriptors(gateway)
    usual_s = statistics.median([await speaks(gateway, number) for number in range(15)])
    first_s, later_s = [], []
    for round_, (what, beginning) in enumerate(BEGINNINGS.items(), 1):
        with flood(gateway.port, beginning, sources):
            for number in range(5):
                took_s = await speaks(gateway, 100 * round_ + number)
                (later_s if number else first_s).append(took_s)
                for path in ("/healthz", "/readyz", "/metrics"):
                    assert (await gateway.get(path))[0] == 200, what
            assert descriptors(gateway) < DESCRIPTORS - 32, what
    assert max(first_s + later_s) < CALLER_S
    assert statistics.median(later_s) < 5 * usual_s + 0.2
    times = f"{1000 * max(first_s):.0f} ms at its begin, then {1000 * statistics.median(later_s):.0f} ms"
    record_property("figure", f"a call during a flood ({reason}): {times}; without it {1000 * usual_s:.0f} ms")
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
