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
    oraserver_protocol: Literal["auto", "v1", "v2"] = "auto"
    oraserver_connections: int = Field(4, ge=1, le=64)
    """Connections of protocol v2 at most."""
    oraserver_node: str | None = Field(None, min_length=1, max_length=256)
    """The name of this node for OraServer. None: TTS_PREFIX."""
    delivery_lead_seconds: float = Field(8, ge=1, le=600)
    """How much audio ahead of the listener is sent over protocol v2."""
    websocket_chunk_size: int = Field(32_768, ge=1_024, le=700_000)
    """Bytes of audio of a frame of protocol v2 at most; synth makes chunks of this size."""
    websocket_end_frames: bool = False
    """Whether OraServer gets a frame when an utterance ends without `complete`, or is cancelled while it plays."""
