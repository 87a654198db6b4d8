"""Wires http_bridge: the common bridge with HTTP POST as its sink."""

from __future__ import annotations

from orastream.service import lifecycle
from orastream.service.bridge import post_sink, serve_bridge
from services.http_bridge.settings import HttpBridgeSettings


def serve(settings: HttpBridgeSettings) -> lifecycle.Serve:
    """The function that runs http_bridge with these settings. Raises SettingsError for invalid files for TLS."""
    tls = settings.checked_oraserver_tls(oraserver_http_url=settings.oraserver_http_url)

    async def run(process: lifecycle.Process) -> None:
        async with post_sink(settings, settings.oraserver_http_url, tls) as sink:
            await serve_bridge(settings, kind="http_bridge", sink=sink, events={})(process)

    return run
