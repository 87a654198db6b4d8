"""Settings of synth (docs: README, “Settings”)."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from orastream.messages import Transport
from orastream.settings import NodeSettings


class SynthSettings(NodeSettings):
    """synth's own settings beside those of every service."""

    tts_health_port: int = Field(9101, ge=0, le=65535)
    tts_engine: str = Field("espeak", min_length=1)
    tts_voice: str | None = None
    tts_engine_rtf: float | None = Field(None, gt=0, le=10)
    synth_slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    synth_stall_seconds: float = Field(20, gt=0)
    websocket_chunk_size: int = Field(32_768, ge=1024, le=700_000)
    chunk_ramp: bool = True
    default_transfer_method: Literal["websocket", "http"] = "websocket"
    default_fire_and_forget: bool = True

    @property
    def default_transport(self) -> Transport:
        """Who delivers what leaves it open."""
        return self.default_transfer_method
