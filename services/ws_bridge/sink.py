"""Delivery over WebSocket, with the settings of ws_bridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orastream.base.version import VERSION
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.oraserver.from_bridge import BridgeHello
from orastream.delivery.rules.streams.multiplex import VERSION as PROTOCOL_VERSION
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.sink import Link, ResumingLink, Sink
from orastream.delivery.websocket.pool import OraServerPool, PoolSettings
from orastream.tls import ClientTls
from services.ws_bridge.settings import WsBridgeSettings


class WebSocketSink:
    """Opens links over protocol v1 or v2. For one event loop; call `close` at the end."""

    def __init__(
        self,
        settings: WsBridgeSettings,
        tls: ClientTls,
        fallback: Sink | None = None,
        *,
        bridge: str = "ws_bridge",
        retransmitted: Callable[[int], object] = lambda _bytes: None,
    ) -> None:
        """`tls` is used for a `wss://` address; `bridge` is the name of this process, for OraServer.

        `retransmitted` is called with the number of bytes of audio that are sent again over protocol v2.
        """
        node = settings.oraserver_node or settings.tts_prefix
        self._pool = OraServerPool(
            PoolSettings(
                settings.oraserver_websocket_url,
                BridgeHello(PROTOCOL_VERSION, node, bridge, f"orastream/{VERSION}"),
                settings.oraserver_protocol,
                settings.authorization,
                tls,
                settings.oraserver_connections,
                settings.websocket_idle_seconds,
                settings.websocket_chunk_size,
                settings.delivery_lead_seconds,
                retransmitted,
            )
        )
        self.transport: Literal["websocket"] = "websocket"
        self.rules = DeliveryRules(
            max_retries=settings.websocket_max_retries,
            stall_s=settings.synth_stall_seconds,
            audio_retention_s=settings.tts_audio_retention_seconds,
            falls_back=fallback is not None,
            end_frames=settings.websocket_end_frames,
            heard_records=settings.heard_records,
        )
        self.metadata_rate = settings.websocket_metadata == "rate"
        self.fallback = fallback
        self.idle_s = settings.websocket_idle_seconds
        self.link_per_utterance = settings.websocket_connection == "utterance"

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> Link:
        """Open a link over the protocol that OraServer speaks. Raises LinkLost. Cancel-safe."""
        return await self._pool.link(session_id, phone_id, wake)

    @property
    def record(self) -> BridgeRecord:
        """What is known of OraServer."""
        return self._pool.record

    async def connect_for_cancels(self, session_id: str, wake: Callable[[], None]) -> ResumingLink | None:
        """Open a link for the cancels of a session; None if OraServer speaks v1. Raises LinkLost. Cancel-safe."""
        return await self._pool.resuming_link(session_id, wake)

    @property
    def open_connections(self) -> int:
        """How many connections of protocol v2 are open."""
        return self._pool.open_connections

    async def close(self) -> None:
        """Close the connections that sessions share."""
        await self._pool.close()
