"""Services that are told to stop while NATS is away end within DRAIN_SECONDS."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from orastream import Client
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")
SESSIONS = 60
DRAIN_SECONDS = 4
LATE_S = 5.0
"""What a busy machine may need more: to begin the drain, and to end the process."""


@pytest.mark.parametrize("away", ["killed", "frozen"])
async def test_services_drain_in_time_without_nats(tmp_path: Path, logs: Logs, away: str) -> None:
    """The bridges own sessions that only NATS could release. There is no OraServer, so no request has ended."""
    nats_server = NatsServer(tmp_path, logs)
    stack = Stack(nats_server, tmp_path, logs, DRAIN_SECONDS=DRAIN_SECONDS, WEBSOCKET_MAX_RETRIES=100)
    try:
        await nats_server.start()
        processes = await stack.start(*SERVICES, TTS_AUDIO_MAX_BYTES=64 << 20)
        async with Client(nats_server.url) as client:
            for number in range(2 * SESSIONS):
                session, websocket = f"s{number}", number < SESSIONS
                await client.say("네.", session_id=session, phone_id="p", use_websocket=websocket, fire_and_forget=True)

            async def owned() -> bool:
                sessions = [await stack.only(kind).metric(f"orastream_{kind}_sessions") for kind in SERVICES[1:3]]
                return sessions == [SESSIONS, SESSIONS]

            await until(owned, "the bridges own the sessions", timeout_s=30)
        if away == "killed":
            nats_server.kill()
        else:
            nats_server.freeze()
        began = time.monotonic()
        assert await asyncio.gather(*(process.stop(60) for process in processes)) == [0, 0, 0, 0]
        assert time.monotonic() - began < DRAIN_SECONDS + LATE_S
    finally:
        stack.kill()
        nats_server.kill()
