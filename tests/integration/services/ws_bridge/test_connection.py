"""A WebSocket to OraServer that cannot be opened because of ws_bridge's own settings."""

from __future__ import annotations

import asyncio
import logging

import pytest

from orastream.delivery.sink import LinkLost
from services.ws_bridge.connection import WebSocketConnection
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


async def test_open_fails_for_an_invalid_url() -> None:
    with pytest.raises(LinkLost, match="ORASERVER_WEBSOCKET_URL cannot be used") as caught:
        await WebSocketConnection.open("ws://user:secret@:80/", {}, lambda: None)
    assert "secret" not in str(caught.value)
