"""Runs services in the test's process, each with its own NATS connection, so that a test can access their objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service import lifecycle
from orastream.service.keeper import StreamKeeper
from orastream.service.metrics import Metrics
from services.gateway.service import serve as gateway
from services.gateway.settings import GatewaySettings
from services.http_bridge.service import serve as http_bridge
from services.http_bridge.settings import HttpBridgeSettings
from services.synth.service import serve as synth
from services.synth.settings import SynthSettings
from services.ws_bridge.service import serve as ws_bridge
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.processes import until


@asynccontextmanager
async def running(url: str, serve: lifecycle.Serve) -> AsyncIterator[lifecycle.Process]:
    """Run a service inside the context, from ready on; it drains at the end."""
    stop = asyncio.Event()
    async with Broker(url, name="service", connect_timeout_s=5) as broker:
        js = JetStream(broker)
        process = lifecycle.Process(js, Metrics(), stop, StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)))
        work = asyncio.ensure_future(serve(process))
        try:

            async def ready() -> bool:
                if work.done():
                    work.result()
                return process.unready is None

            await until(ready, "the service is ready", timeout_s=45)
            yield process
        finally:
            stop.set()
            await work


@asynccontextmanager
async def running_node(
    nats_url: str, oraserver_url: str, services: Sequence[str] = ("synth", "ws_bridge", "http_bridge"), **more: Any
) -> AsyncIterator[dict[str, lifecycle.Process]]:
    """Run these services, by name, with an OraServer; `more` are settings for all of them.

    Unless they say otherwise, ws_bridge speaks protocol v1: most tests count its frames.
    """
    common: dict[str, Any] = {"_env_file": None, "nats_url": nats_url, "tts_audio_max_bytes": 256 << 20}
    common |= {"oraserver_protocol": "v1", **more}
    voice = SynthSettings(**common, synth_slots=1, tts_phrase_cache=False)
    websocket = oraserver_url.replace("http", "ws", 1) + "/ws/tts"
    serves: dict[str, lifecycle.Serve] = {
        "synth": synth(voice),
        "ws_bridge": ws_bridge(WsBridgeSettings(**common, oraserver_websocket_url=websocket)),
        "http_bridge": http_bridge(HttpBridgeSettings(**common, oraserver_http_url=f"{oraserver_url}/api/tts")),
        "gateway": gateway(GatewaySettings(**common, gateway_port=0)),
    }
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(running(nats_url, serves[name])) for name in services}
