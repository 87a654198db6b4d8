"""The checks pass a receiver that keeps the rules, and find each fault that is planted in it, in the right line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import get_args

import pytest
from aiohttp import WSMsgType, web

from orastream.cli.checks.oraserver import server
from orastream.cli.checks.oraserver.choice import PLAIN
from orastream.cli.checks.oraserver.command import examine
from orastream.cli.checks.oraserver.outcomes import CheckImpossible, Level
from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.delivery.websocket import connection, liveness
from orastream.tls import ORASERVER, ClientTls, TlsFiles
from tests.support.receiver import Fault, ReceiverWithFault, receiving
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TOKEN = "secret"
CHECKS = [check for check in PLAIN if check.rule.name != "post-longest"]

STORED = (
    *("idle", "order", "sentences", "ids", "repeats", "formats", "phones", "cancel", "burst", "frame", "largest-frame"),
    *("break", "late-complete", "takeover", "reset", "pongs", "sample-rate", "end-frames"),
)
"""The checks over WebSocket that look at what is stored."""

FOUND: dict[Fault, dict[str, Level]] = {
    "early pongs": {"pongs": "risk"},
    "other payload": {"handshake": "broken"},
    "token not checked": {"token": "risk", "post-token": "risk"},
    "500 for a wrong token": {"token": "broken", "post-token": "broken"},
    "ids of the headers": {"ids": "broken"},
    "request ids as paths": {"ids": "broken", "post-ids": "broken"},
    "constant text": {"sentences": "broken"},
    "stores repeats": {"repeats": "broken", "break": "broken", "takeover": "broken"},
    "seven formats less one": {"formats": "broken", "post-formats": "broken"},
    "one phone": {"phones": "broken"},
    "waits for complete": {"cancel": "broken", "reset": "broken", "end-frames": "risk"},
    "32 KiB frames": {"frame": "broken", "largest-frame": "risk"},
    "128 KiB frames": {"largest-frame": "risk"},
    "forgets at a break": {"break": "broken", "late-complete": "broken", "takeover": "broken", "pongs": "broken"},
    "older connection wins": {"takeover": "broken"},
    "older connection goes on": {"takeover": "broken"},
    "forgets at complete": {"repeats": "broken", "late-complete": "broken"},
    "impatient": {"idle": "risk"},
    "409 for a repeat": {"post-repeat": "broken"},
    "1 MiB bodies": {"post-minute": "broken"},
    "answers early": {"post": "broken"},
    "takes half a body": {"post-reset": "broken"},
    "unknown keys": {"sample-rate": "risk"},
    "unknown frames": {"end-frames": "risk"},
    "refuses after the handshake": {"token": "broken"},
    "takes a missing token": {"token": "risk", "post-token": "risk"},
    "completes what was cancelled": {"cancel": "broken"},
    "stores nothing": {**dict.fromkeys(STORED, "broken"), "post": "broken"},
    "stores after the answer": {"post": "risk"},
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A ping that is not answered is noticed soon."""
    for module in (liveness, connection):
        monkeypatch.setattr(module, "PONG_S", 9.0 if "as_fast_as" in request.node.name else 3.0)


def under_test(receiver: ReceiverWithFault) -> ServerUnderTest:
    """The receiver, with its listing."""
    return ServerUnderTest(
        receiver.websocket_url,
        receiver.http_url,
        ClientTls(TlsFiles(ORASERVER)),
        token=TOKEN,
        received_url=f"{receiver.url}/received",
        idle_s=0.5,
    )


async def found(fault: Fault | None) -> dict[str, Level]:
    """The checks that find something."""
    async with receiving(fault, token=TOKEN) as receiver:
        results = await examine(under_test(receiver), CHECKS)
    assert len(results) == len(CHECKS)
    levels = {result.rule.name: result.outcome.level for result in results}
    assert levels.pop("restart") in ("unseen", "skipped")
    return {name: level for name, level in levels.items() if level not in ("ok", "skipped")}


def test_each_fault_has_its_line() -> None:
    assert set(FOUND) == set(get_args(Fault))


async def test_a_receiver_that_keeps_the_rules_passes() -> None:
    assert await found(None) == {}


async def test_without_a_listing_what_is_taken_is_not_called_right() -> None:
    async with receiving("stores nothing") as receiver:
        results = await examine(replace(under_test(receiver), received_url=None, token=None), CHECKS)
    levels = {result.rule.name: result.outcome.level for result in results}
    assert {name for name, level in levels.items() if level == "ok"} == {"handshake"}
    assert {name for name, level in levels.items() if level == "unseen"} == {"pongs", "restart"}
    assert set(levels.values()) == {"ok", "unseen", "skipped", "accepted"}


async def test_a_listing_without_an_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_LISTING_BYTES", 1 << 16)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * (1 << 16))
            await writer.drain()

    async with serving(endless) as port, asyncio.timeout(20):
        tested = ServerUnderTest(None, None, ClientTls(TlsFiles(ORASERVER)), received_url=f"http://127.0.0.1:{port}/")
        with pytest.raises(CheckImpossible, match="has more than"):
            await tested.stored("s")


async def test_a_receiver_that_reads_as_fast_as_it_plays_keeps_the_rules() -> None:
    """The checks write no more before a pong than a bridge does, so that a ping is answered in time."""

    async def play(request: web.Request) -> web.WebSocketResponse[bool]:
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(autoping=False, max_msg_size=4 << 20)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT and "audioDataBase64" in (frame := json.loads(message.data)):
                rate_hz = 48_000 if frame["fileName"].endswith("wav") else 22_050
                await asyncio.sleep(len(frame["audioDataBase64"]) * 0.75 / 2 / rate_hz)
        return socket

    app = web.Application()
    app.router.add_get("/ws", play)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
        tested = ServerUnderTest(url, None, ClientTls(TlsFiles(ORASERVER)))
        names = ("order", "burst")
        results = await examine(tested, [check for check in CHECKS if check.rule.name in names])
    finally:
        await runner.cleanup()
    assert {result.rule.name: result.outcome.level for result in results} == dict.fromkeys(names, "accepted")


@pytest.mark.parametrize("fault", FOUND)
async def test_a_planted_fault_is_found_in_the_right_line(fault: Fault) -> None:
    assert await found(fault) == FOUND[fault]
