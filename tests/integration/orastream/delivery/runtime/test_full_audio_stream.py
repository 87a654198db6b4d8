"""A full stream of audio: synth waits, and the bridges wait with it. When there is room, the utterance is delivered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.topology import StreamLimits, stream_configs
from services.oraserver.app import OraServer, serve
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.scenes import TEXT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

STALL_S = 2.0
FULL_S = 3 * STALL_S


async def limit(js: JetStream, max_bytes: int) -> None:
    """Set the limit of the stream of audio."""
    configs = stream_configs(NAMES, StreamLimits(audio_max_bytes=max_bytes))
    (config,) = (config for config in configs if config["name"] == NAMES.audio_stream)
    management.checked(NAMES.audio_stream, await management.update_stream(js, config))


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_it_is_waited_for(
    nats_server: NatsServer, js: JetStream, client: Client, tmp_path: Path, transport: str
) -> None:
    bridge = "ws_bridge" if transport == "websocket" else "http_bridge"
    async with (
        serve(OraServer(tmp_path / "oraserver")) as oraserver,
        running_node(nats_server.url, oraserver.url, ("synth", bridge), synth_stall_seconds=STALL_S),
    ):
        await limit(js, 1 << 20)
        await client.say(TEXT * 3, session_id="s", phone_id="p", request_id="r", transport=transport)

        async def full() -> bool:
            stored, most = await management.fill(js, NAMES.audio_stream)
            return stored > most - (128 << 10)

        await until(full, "the stream is full", timeout_s=20)
        await asyncio.sleep(FULL_S)
        report = await client.report("s", "r")
        assert report is not None and not report.final, report
        await limit(js, 256 << 20)
        assert (await client.wait("s", "r", 40)).status == "delivered"
        (utterance,) = oraserver.book.utterances.values()
        assert utterance.complete and utterance.violations.total == 0
