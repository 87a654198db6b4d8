"""Settings of http_bridge (docs/reference/settings.md)."""

from __future__ import annotations

from pydantic import Field

from orastream.service.settings import BridgeSettings


class HttpBridgeSettings(BridgeSettings):
    """The settings of http_bridge, in addition to those of both bridges."""

    tts_health_port: int = Field(9103, ge=0, le=65535)
    oraserver_http_url: str = Field("http://127.0.0.1:8080/api/tts", pattern=r"^https?://")
