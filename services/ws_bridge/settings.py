"""Settings of ws_bridge (docs/reference/settings.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orastream.service.settings import BridgeSettings, url_of


class WsBridgeSettings(BridgeSettings):
    """The settings of ws_bridge, in addition to those of both bridges."""

    tts_health_port: int = Field(9102, ge=0, le=65535)
    oraserver_websocket_url: Annotated[str, url_of("ws://", "wss://")] = "ws://127.0.0.1:8080/ws/tts"
    oraserver_http_url: Annotated[str, url_of("http://", "https://")] = "http://127.0.0.1:8080/api/tts"
    """Only with `delivery_fallback`."""
    delivery_fallback: Literal["none", "http"] = "none"
    """The transport for an utterance of which nothing could be sent over WebSocket, before it is reported as failed."""
    websocket_idle_seconds: float = Field(30, gt=0)
    websocket_connection: Literal["session", "utterance"] = "session"
    websocket_end_frames: bool = False
    """Whether OraServer gets a frame when an utterance ends without `complete`, or is cancelled while it plays."""
