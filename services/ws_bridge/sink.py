"""Delivery over WebSocket, with the settings of ws_bridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.sink import Sink
from orastream.delivery.websocket.link import WebSocketLink
from orastream.tls import ClientTls
from services.ws_bridge.settings import WsBridgeSettings


class WebSocketSink:
    """Opens links: one per session and phone, or one per utterance (WEBSOCKET_CONNECTION)."""

    def __init__(self, settings: WsBridgeSettings, tls: ClientTls, fallback: Sink | None = None) -> None:
        """`tls` is used for a `wss://` address."""
        self._settings = settings
        self._tls = tls
        self.transport: Literal["websocket"] = "websocket"
        self.rules = DeliveryRules(
            max_retries=settings.websocket_max_retries,
            stall_s=settings.synth_stall_seconds,
            audio_retention_s=settings.tts_audio_retention_seconds,
            falls_back=fallback is not None,
            end_frames=settings.websocket_end_frames,
        )
        self.metadata_rate = settings.websocket_metadata == "rate"
        self.fallback = fallback
        self.idle_s = settings.websocket_idle_seconds
        self.link_per_utterance = settings.websocket_connection == "utterance"

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> WebSocketLink:
        """Connect, complete the handshake and send `init`. Raises LinkLost."""
        url, authorization = self._settings.oraserver_websocket_url, self._settings.authorization
        return await WebSocketLink.open(url, session_id, phone_id, wake, headers=authorization, client_tls=self._tls)
