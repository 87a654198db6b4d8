"""A refusal is understood from its first line, whatever follows it: one attempt, then `oraserver_refused`."""

from __future__ import annotations

import asyncio

import pytest

from orastream.client.async_client import Client
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

AS_THE_LIBRARY_WS_DOCUMENTS_IT = b"HTTP/1.1 401 Unauthorized\r\n\r\n"
REFUSALS = {
    "no Content-Length, then a close": (AS_THE_LIBRARY_WS_DOCUMENTS_IT, False),
    "no end of the line, then a close": (b"HTTP/1.1 401 Unauthorized", False),
    "a body that is cut off": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno", False),
    "a body that never ends": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno", True),
    "headers that never end": (b"HTTP/1.1 404 Not Found\r\nServer: x\r\n", True),
    "a body of over 1 MiB": (b"HTTP/1.1 404 Not Found\r\n\r\n" + b"x" * (2 << 20), False),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_is_final_at_once(kind: str) -> None:
    answer, stays = REFUSALS[kind]

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if stays:
            await reader.read()

    async with serving(refuse) as port, asyncio.timeout(4):  # less than the time for a handshake
        with pytest.raises(LinkLost, match=r"^the handshake was answered by HTTP 40[134]$") as caught:
            await WebSocketConnection.open(f"ws://127.0.0.1:{port}/ws", {}, lambda: None)
    assert caught.value.refused


@pytest.mark.parametrize("status", [302, 500, 503])
async def test_other_answers_are_not_final(status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Words\r\nConnection: close\r\n\r\nsee there" % status)

    async with serving(answer) as port, asyncio.timeout(4):
        with pytest.raises(LinkLost, match=f"HTTP {status}$") as caught:
            await WebSocketConnection.open(f"ws://127.0.0.1:{port}/ws", {}, lambda: None)
    assert not caught.value.refused


async def test_a_bridge_tries_once(nats_server: NatsServer, client: Client) -> None:
    handshakes = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal handshakes
        handshakes += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(AS_THE_LIBRARY_WS_DOCUMENTS_IT)

    async with (
        serving(refuse) as port,
        running_node(nats_server.url, f"http://127.0.0.1:{port}", ("synth", "ws_bridge")),
    ):
        asked = {"text": "네.", "sessionId": "s", "phoneId": "p", "requestId": "r", "transport": "websocket"}
        await client.submit(asked)
        report = await client.wait("s", "r", 30)
    assert report.status == "failed" and report.error is not None
    assert report.error.code == "oraserver_refused" and "HTTP 401" in report.error.message
    assert handshakes == 1
