"""`python -m services.gateway`: the front door for HTTP callers and for `tts.speak`."""

from __future__ import annotations

import sys

from orastream import lifecycle
from orastream.client import Client
from services.gateway import http_server, speak
from services.gateway.app import application
from services.gateway.door import Door
from services.gateway.events import Events
from services.gateway.gate import Gate
from services.gateway.keys import Keys
from services.gateway.node import Node
from services.gateway.settings import GatewaySettings
from services.gateway.sites import Sites

GRACE_S = 7.0
"""What requests in flight have at the end; the process ends after lifecycle.DRAIN_DEADLINE_S anyway."""


def serve(settings: GatewaySettings) -> lifecycle.Serve:
    """The service, wired."""

    async def run(process: lifecycle.Process) -> None:
        bus = process.js.bus
        client = Client.over(
            bus, fire_and_forget=settings.default_fire_and_forget, max_text_chars=settings.tts_max_text_chars
        )
        door = Door(client, settings.gateway_wait_seconds, process.metrics)
        app = application(
            door,
            Gate(Keys(settings.api_keys), Sites(settings.hosts, settings.tts_host)),
            Node(process.js, max_text_chars=settings.tts_max_text_chars),
            Events(process.js, door, max_text_chars=settings.tts_max_text_chars),
            metrics=process.metrics,
            lacking=process.lacking,
            max_text_chars=settings.tts_max_text_chars,
        )
        async with (
            http_server.serving(app, settings.tts_host, settings.gateway_port, grace_s=GRACE_S, stop=process.stop) as (
                server,
                port,
            ),
            speak.serving(bus, door, grace_s=GRACE_S),
        ):
            process.ports["gateway_port"] = port
            process.ready()
            await process.stop.wait()
            server.stop_taking()
            door.close(GRACE_S - 1)

    return run


if __name__ == "__main__":
    sys.exit(lifecycle.run("gateway", GatewaySettings, serve, serves_health=True))
