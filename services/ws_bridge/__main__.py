"""`python -m services.ws_bridge`: carries audio to OraServer over WebSocket."""

from __future__ import annotations

import sys

from orastream import lifecycle
from orastream.delivery.service import serve_bridge
from services.ws_bridge.settings import WsBridgeSettings
from services.ws_bridge.sink import WebSocketSink

EVENTS = {"begins": "🔌 [TTS] WebSocket 스트리밍 시작", "delivered": "✅ [TTS] WebSocket 스트리밍 완료"}


def serve(settings: WsBridgeSettings) -> lifecycle.Serve:
    """The service, wired."""
    return serve_bridge(settings, kind="ws_bridge", transport="websocket", sink=WebSocketSink(settings), events=EVENTS)


if __name__ == "__main__":
    sys.exit(lifecycle.run("ws_bridge", WsBridgeSettings, serve))
