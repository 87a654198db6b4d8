"""Wires ws_bridge: the common bridge with WebSocket as its sink, and with HTTP as its fallback if that is set."""

from __future__ import annotations

import contextlib

from orastream.delivery.runtime.ownership import new_bridge_name
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
            name = new_bridge_name("ws_bridge")
            again = process.metrics.counter(
                "orastream_ws_bridge_retransmitted_bytes", "Bytes of audio that OraServer has lost and got again"
            )
            sink = WebSocketSink(settings, tls, fallback, bridge=name, retransmitted=again.inc)
            process.metrics.gauge(
                "orastream_ws_bridge_shared_connections",
                "Open connections of protocol v2",
                lambda: float(sink.open_connections),
            )
            stack.push_async_callback(sink.close)
            await serve_bridge(settings, kind="ws_bridge", sink=sink, events=EVENTS, name=name)(process)

    return run
