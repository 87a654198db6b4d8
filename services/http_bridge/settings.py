"""Settings of http_bridge (docs/reference/settings.md)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orastream.service.settings import BridgeSettings, url_of


class HttpBridgeSettings(BridgeSettings):
    """The settings of http_bridge, in addition to those of both bridges."""

    tts_health_port: int = Field(9103, ge=0, le=65535)
    oraserver_http_url: Annotated[str, url_of("http://", "https://")] = "http://127.0.0.1:8080/api/tts"
