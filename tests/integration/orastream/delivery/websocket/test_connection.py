"""A WebSocket to OraServer that cannot be opened because of ws_bridge's own settings."""

from __future__ import annotations

import asyncio
import logging

import pytest
from websockets.asyncio.server import ServerConnection, serve

from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from tests.support.tcp_server import serving

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("secret", ["Bearer 비밀-token", "Bearer to\nken"])
async def test_open_fails_with_the_reason_when_a_header_cannot_be_sent(
    secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It fails at once with the reason; neither the reason nor the log contains the header."""
    caplog.set_level(logging.DEBUG)
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b"", "a part of the handshake was sent"
        left.set()

    async with serving(silent) as port, asyncio.timeout(10):
        with pytest.raises(LinkLost, match="the handshake cannot be written: a header is not usable") as caught:
            await WebSocketConnection.open(f"ws://127.0.0.1:{port}/", {"Authorization": secret}, lambda: None)
        await left.wait()
    assert "Bearer" not in str(caught.value) and not caught.value.refused
    assert "Bearer" not in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "url", ["ws://user:secret@:80/", "ws://user:secret@a..b/", f"ws://user:secret@{'x' * 64}.example/"]
)
async def test_open_fails_for_an_invalid_url(url: str) -> None:
    with pytest.raises(LinkLost, match="ORASERVER_WEBSOCKET_URL cannot be used") as caught:
        await WebSocketConnection.open(url, {}, lambda: None)
    assert "secret" not in str(caught.value)


async def test_the_token_replaces_the_user_in_the_address() -> None:
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    async with serving(refuse) as port, asyncio.timeout(10):
        with pytest.raises(LinkLost, match="HTTP 403"):
            url = f"ws://user:password@127.0.0.1:{port}/"
            await WebSocketConnection.open(url, {"Authorization": "Bearer token"}, lambda: None)
    lines = [line for line in heads[0].split(b"\r\n") if line.lower().startswith(b"authorization:")]
    assert lines == [b"Authorization: Bearer token"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x88\x00", "closed by OraServer (code none)"),
        (b"\x88\x02\x03\xf3", "closed by OraServer (code 1011)"),
        (b"\x88\x0b\x10\x68going off", "closed by OraServer (code 4200, going off)"),
        (b"\x88\x0c\x03\xf0\x1b[31m\xe2\x80\xaeno", "closed by OraServer (code 1008, \ufffd[31m\ufffdno)"),
        (b"\x88\x7d\x03\xf0" + b"x" * 123, f"closed by OraServer (code 1008, {'x' * 123})"),
        (b"\x88\x01\x03", "OraServer's frames are not WebSocket's (close frame too short)"),
        (b"\x83\x00", "OraServer's frames are not WebSocket's (invalid opcode)"),
    ],
)
async def test_lost_link_has_the_code_and_the_cleaned_reason_of_the_close_frame(frame: bytes, reason: str) -> None:
    async def serve_one(server: ServerConnection) -> None:
        server.transport.write(frame)
        await server.wait_closed()

    async with serve(serve_one, "127.0.0.1", 0, ping_interval=None) as listening, asyncio.timeout(10):
        port = next(iter(listening.sockets)).getsockname()[1]
        with pytest.raises(LinkLost) as caught:  # by `open` if the frame comes with the handshake
            connection = await WebSocketConnection.open(f"ws://127.0.0.1:{port}/", {}, lambda: None)
            while connection.lost is None:
                await asyncio.sleep(0.01)
            raise connection.lost
    assert str(caught.value) == reason and not caught.value.refused


async def test_foreign_words_in_a_handshake_are_cleaned() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \xe2\x80\xae%s\r\n\r\n"
        writer.write(answer % (b"x" * 5_000))
        await reader.read()

    async with serving(rude) as port, asyncio.timeout(10):
        with pytest.raises(LinkLost, match="the handshake is not WebSocket's") as caught:
            await WebSocketConnection.open(f"ws://127.0.0.1:{port}/", {}, lambda: None)
    said = str(caught.value)
    assert len(said) < 300 and not any("\x7f" <= char < "\xa0" or char == "\u202e" for char in said), ascii(said)
