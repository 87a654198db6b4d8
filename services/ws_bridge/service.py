"""Wires ws_bridge: the common bridge with WebSocket as its sink, and with HTTP as its fallback if that is set."""

from __future__ import annotations

import contextlib

from orastream.service import lifecycle
from orastream.service.bridge import post_sink, serve_bridge
from services.ws_bridge.settings import WsBridgeSettings
from services.ws_bridge.sink import WebSocketSink

EVENTS = {"begins": "🔌 [TTS] WebSocket 스트리밍 시작", "delivered": "✅ [TTS] WebSocket 스트리밍 완료"}


def serve(settings: WsBridgeSettings) -> lifecycle.Serve:
    """The function that runs ws_bridge with these settings. Raises SettingsError for invalid files for TLS."""
    urls = {"oraserver_websocket_url": settings.oraserver_websocket_url}
    if settings.delivery_fallback == "http":
        urls["oraserver_http_url"] = settings.oraserver_http_url
    tls = settings.checked_oraserver_tls(**urls)

    async def run(process: lifecycle.Process) -> None:
        async with contextlib.AsyncExitStack() as stack:
            fallback = None
            if settings.delivery_fallback == "http":
                fallback = await stack.enter_async_context(post_sink(settings, settings.oraserver_http_url, tls))
            sink = WebSocketSink(settings, tls, fallback)
            await serve_bridge(settings, kind="ws_bridge", sink=sink, events=EVENTS)(process)

    return run
