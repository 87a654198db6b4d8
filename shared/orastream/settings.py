"""Settings from the environment and `.env`: read once in a `__main__`, validated before any connection, frozen.

Each service extends `NodeSettings` by what only it needs (`services/<name>/settings.py`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, TypeVar

from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.errors import SettingsError
from orastream.streams import StreamLimits

# Every setting of the contract, so that any service can tell a typing error from a sibling's setting.
KNOWN: frozenset[str] = frozenset(
    """NATS_URL NATS_CREDS ORASERVER_WEBSOCKET_URL ORASERVER_HTTP_URL ORASERVER_TOKEN WEBSOCKET_CHUNK_SIZE
    WEBSOCKET_MAX_RETRIES WEBSOCKET_IDLE_SECONDS WEBSOCKET_CONNECTION DEFAULT_TRANSFER_METHOD DEFAULT_FIRE_AND_FORGET
    TTS_ENGINE TTS_VOICE TTS_MAX_TEXT_CHARS TTS_ENGINE_RTF SYNTH_SLOTS SYNTH_STALL_SECONDS TTS_STREAM_REPLICAS
    TTS_AUDIO_MAX_BYTES TTS_AUDIO_RETENTION_SECONDS TTS_MAX_PENDING_PER_SESSION CHUNK_RAMP GATEWAY_PORT
    GATEWAY_WAIT_SECONDS GATEWAY_API_KEYS TTS_HEALTH_PORT TTS_HOST TTS_LOG_DIR TTS_LOG_FORMAT TTS_LOG_LEVEL
    ORASERVER_PORT ORASERVER_DATA_DIR ORASERVER_MISBEHAVE""".split()
)
WATCHED_PREFIXES = ("TTS_", "WEBSOCKET_", "ORASERVER_")

S = TypeVar("S", bound=BaseSettings)


class NodeSettings(BaseSettings):
    """What every process of the node needs."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    nats_url: str = "nats://127.0.0.1:4222"
    nats_creds: Path | None = None
    tts_log_dir: Path | None = None
    tts_log_format: Literal["auto", "console", "json"] = "auto"
    tts_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    tts_host: str = "127.0.0.1"
    """Where health, metrics and HTTP ports listen; 0.0.0.0 in a container."""
    tts_health_port: int = Field(0, ge=0, le=65535)
    tts_max_text_chars: int = Field(5_000, ge=1)
    tts_stream_replicas: int = Field(1, ge=1, le=5)
    tts_audio_max_bytes: int = Field(4 << 30, ge=1 << 20)
    tts_audio_retention_seconds: int = Field(600, ge=10)
    tts_max_pending_per_session: int = Field(64, ge=1)

    @property
    def limits(self) -> StreamLimits:
        """What the settings say of the streams."""
        return StreamLimits(
            replicas=self.tts_stream_replicas,
            audio_retention_s=self.tts_audio_retention_seconds,
            audio_max_bytes=self.tts_audio_max_bytes,
            max_pending_per_session=self.tts_max_pending_per_session,
        )

    @classmethod
    def load(cls) -> Self:
        """The settings of this process. Raises SettingsError naming each variable that is wrong."""
        return load(cls)


def load(cls: type[S]) -> S:
    """Settings of that class from the environment and `.env`. Raises SettingsError naming each wrong variable."""
    try:
        return cls()
    except ValidationError as exc:
        lines = [
            f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}"
            for e in exc.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("; ".join(lines)) from None


def unknown_names() -> list[str]:
    """Variables under our prefixes that no service reads: most likely typing errors."""
    names = set(os.environ) | set(dotenv_values(".env"))
    return sorted(n for n in names if n.upper().startswith(WATCHED_PREFIXES) and n.upper() not in KNOWN)


class BridgeSettings(NodeSettings):
    """What both bridges read."""

    oraserver_token: str | None = None
    websocket_max_retries: int = Field(3, ge=0)
    synth_stall_seconds: float = Field(20, gt=0)
