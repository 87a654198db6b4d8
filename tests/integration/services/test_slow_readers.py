"""Processes that are told to stop while their peers read nothing end in time, without a traceback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import time

import pytest

from tests.support.deaf_readers import deaf
from tests.support.processes import Process, until
from tests.support.services import Stack
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

DRAIN_SECONDS = 5
LATE_S = 4.0
"""What a busy machine may need more."""
TEXT = "This is a sentence that makes some seconds of audio, so that the buffers of a socket are full of it. " * 8
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def assert_quiet(*processes: Process) -> None:
    for process in processes:
        assert "Traceback" not in process.text() and '"level": "error"' not in process.text(), process.text()


async def accepts_and_reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers a handshake of a WebSocket (RFC 6455, 4.2.2); reads nothing after it, and nothing of a POST's body."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
    if b"sec-websocket-key" in headers:
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))[19:]
        accept = base64.b64encode(hashlib.sha1(key.strip() + GUID).digest())  # noqa: S324 - of RFC 6455
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3600)


async def test_bridges_end_in_time_although_oraserver_reads_nothing(stack: Stack) -> None:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    async with serving(accepts_and_reads_nothing, listening=listening, limit=1024) as port:
        at = {
            "ORASERVER_WEBSOCKET_URL": f"ws://127.0.0.1:{port}/ws/tts",
            "ORASERVER_HTTP_URL": f"http://127.0.0.1:{port}/api/tts",
        }
        bridges = await stack.start("ws_bridge", "http_bridge", DRAIN_SECONDS=DRAIN_SECONDS, **at)
        await stack.start("synth", SYNTH_SLOTS=4)
        async with stack.client() as client:
            for number in range(8):
                await client.say(
                    TEXT, session_id=f"s{number}", phone_id=f"p{number}", use_websocket=number % 2 == 0, format="wav"
                )

            async def delivering() -> bool:
                owned = [await bridge.metric(f"orastream_{bridge.service}_sessions") for bridge in bridges]
                return owned == [4, 4]

            await until(delivering, "both bridges deliver", timeout_s=30)
            await asyncio.sleep(1)  # until the buffers are full
        began = time.monotonic()
        assert await asyncio.gather(*(bridge.stop(60) for bridge in bridges)) == [0, 0]
        assert time.monotonic() - began < DRAIN_SECONDS + LATE_S
    assert_quiet(*bridges)


async def test_reference_oraserver_ends_in_time_although_peers_read_nothing(stack: Stack) -> None:
    (oraserver,) = await stack.start("oraserver")
    upgrade = (
        b"GET /ws/tts HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    v2 = upgrade + b"Sec-WebSocket-Protocol: orastream.v2\r\n\r\n"
    # Pings of a client are masked; these have the mask 0. Their pongs fill the buffers of the connection.
    pings = (b"\x89\xfd\x00\x00\x00\x00" + b"p" * 125) * 4000
    port = oraserver.port
    half = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nhalf"
    async with deaf(port, upgrade + b"\r\n" + pings, 3), deaf(port, v2, 3), deaf(port, half, 3):
        await asyncio.sleep(1)
        began = time.monotonic()
        assert await oraserver.stop(60) == 0
        assert time.monotonic() - began < DRAIN_SECONDS + LATE_S
    assert_quiet(oraserver)
