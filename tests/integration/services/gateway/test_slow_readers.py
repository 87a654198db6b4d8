"""A gateway that is told to stop while readers take nothing ends within DRAIN_SECONDS, without a traceback."""

from __future__ import annotations

import asyncio
import time

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.jetstream.api import JetStream
from tests.support.deaf_readers import deaf
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

DRAIN_SECONDS = 5
LATE_S = 3.0
"""What a busy machine may need more."""
READERS = 4
PIECE, PIECES = 256 << 10, 16
"""4 MiB: more than the buffers of a socket hold."""


async def endless_audio(js: JetStream, request: str) -> str:
    """Store a request with PIECES pieces of audio and no end; returns its path."""
    acceptance = await Client(js.broker).say("x", session_id="s", phone_id="p", request_id=request)
    assert isinstance(acceptance, Acceptance)
    subject = NAMES.put_audio("s", request)
    start = AudioStart(acceptance.request_seq, "wav", 22_050, 1, "espeak", "ko-KR")
    attempt = (await js.store(subject, start.pack())).sequence
    for index in range(PIECES):
        await js.store(subject, AudioChunk(attempt, index, 100 * index, 0, bytes(PIECE)).pack())
    return f"/api/audio/s/{request}"


async def test_gateway_ends_in_time_although_readers_take_nothing(stack: Stack, js: JetStream) -> None:
    (gateway,) = await stack.start("gateway", DRAIN_SECONDS=DRAIN_SECONDS)
    path = await endless_audio(js, "r")
    get = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    events = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with deaf(gateway.port, get, READERS), deaf(gateway.port, events, READERS):

        async def busy() -> bool:
            return await gateway.metric("orastream_gateway_in_flight") >= READERS

        await until(busy, "the answers have begun", timeout_s=20)
        await asyncio.sleep(1)  # until the buffers are full
        began = time.monotonic()
        assert await gateway.stop(60) == 0
        assert time.monotonic() - began < DRAIN_SECONDS + LATE_S
    text = gateway.text()
    assert "answers were broken off at the end of the drain" in text and "the drain took too long" not in text, text
    assert "Traceback" not in text and '"exception"' not in text and '"level": "error"' not in text, text
