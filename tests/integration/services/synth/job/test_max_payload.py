"""A max_payload that is too low for the audio: the report names the message, its size, the limit and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.scenes import TEXT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NAMES_IT = r"a chunk of audio has \d+ bytes .* max_payload of nats-server is 16384; lower WEBSOCKET_CHUNK_SIZE"


def limit(folder: Path, max_payload: int) -> Path:
    """Write a server configuration with that limit."""
    path = folder / "nats.conf"
    path.write_text(f"max_payload: {max_payload}\n")
    return path


async def test_from_the_start(tmp_path: Path, logs: Logs) -> None:
    server = NatsServer(tmp_path, logs, "-c", str(limit(tmp_path, 16_384)))
    await server.start()
    try:
        async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
            await StreamKeeper(JetStream(broker), StreamLimits(audio_max_bytes=256 << 20)).ensure()
            client = Client(broker)
            async with running_node(server.url, "http://127.0.0.1:1", ("synth",)):
                await client.say(TEXT, session_id="s", phone_id="p", request_id="r", transport="none")
                report = await client.wait("s", "r", 20)
        assert report.status == "failed" and report.error is not None and report.error.code == "internal"
        assert re.search(NAMES_IT, report.error.message), report.error
    finally:
        server.kill()


async def test_lowered_while_it_speaks(tmp_path: Path, logs: Logs) -> None:
    """The server restarts with a lower limit while chunks wait for their acks."""
    server = NatsServer(tmp_path, logs, "-c", str(limit(tmp_path, 1 << 20)))
    await server.start()
    try:
        async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
            await StreamKeeper(JetStream(broker), StreamLimits(audio_max_bytes=256 << 20)).ensure()
            client = Client(broker)
            async with running_node(server.url, "http://127.0.0.1:1", ("synth",), tts_engine_rtf=0.2):
                accepted = await client.say(
                    TEXT * 3, session_id="s", phone_id="p", request_id="r", transport="none", fire_and_forget=True
                )
                async for message in client.audio("s", "r", accepted.request_seq):
                    if getattr(message, "index", 0) >= 2:
                        break
                server.kill()
                limit(tmp_path, 16_384)
                await server.start()
                report = await client.wait("s", "r", 25)
        assert report.status == "failed" and report.error is not None and report.error.code == "internal"
        assert re.search(NAMES_IT, report.error.message), report.error
    finally:
        server.kill()
