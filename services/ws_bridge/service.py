"""Wires ws_bridge: the common bridge with WebSocket as its sink."""

from __future__ import annotations

from orastream.service import lifecycle
from orastream.service.bridge import serve_bridge
from services.ws_bridge.settings import WsBridgeSettings
from services.ws_bridge.sink import WebSocketSink

EVENTS = {"begins": "🔌 [TTS] WebSocket 스트리밍 시작", "delivered": "✅ [TTS] WebSocket 스트리밍 완료"}


def serve(settings: WsBridgeSettings) -> lifecycle.Serve:
    """The function that runs ws_bridge with these settings."""
    return serve_bridge(settings, kind="ws_bridge", sink=WebSocketSink(settings), events=EVENTS)
