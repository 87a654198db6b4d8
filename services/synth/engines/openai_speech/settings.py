"""Settings of the engine, which the engine process reads from the environment and `.env`.

It does not use `orastream.service.settings`: that imports NATS, which takes longer than the rest of the start.
"""

from __future__ import annotations

import json
import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.contract.errors import SettingsError
from orastream.service.setting_problems import describe
from orastream.tls import TlsFiles, TlsNames
from services.synth.engines.base import Misconfigured
from services.synth.engines.openai_speech.voices import VoiceDefaults
from services.synth.engines.servers.connection import ServerAccess
from services.synth.engines.servers.server_sentence import SentenceLimits
from services.synth.engines.servers.settings import SHARE_OF_STALL, server_urls

_EXAMPLE = "http://127.0.0.1:8880"
_TLS = TlsNames("OPENAI_SPEECH_CA", "", "")


def _fields(text: str) -> dict[str, Any]:
    """Returns the JSON object in a text. Raises ValueError that says what to write."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: it is nested too deeply
        fields = None
    if not isinstance(fields, dict):
        raise ValueError('it is not a JSON object, as in {"stream": true}')
    return fields


class OpenAiSpeechSettings(BaseSettings):
    """Addresses of the servers, the key, timeouts, and the voice or the file with the voices."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    openai_speech_urls: str = _EXAMPLE
    """Comma-separated addresses, with or without `/v1` at the end."""
    openai_speech_api_key: SecretStr | None = None
    openai_speech_ca: Path | None = None
    openai_speech_voices: Path | None = None
    """None: one voice, from the settings below."""
    openai_speech_model: str = Field("tts-1", min_length=1)
    openai_speech_voice: str = Field("alloy", min_length=1)
    openai_speech_language: str = Field("en-US", min_length=1)
    openai_speech_format: Literal["pcm", "wav"] = "pcm"
    openai_speech_sample_rate: int = Field(24_000, ge=8_000, le=192_000)
    openai_speech_extra_body: str | None = None
    """A JSON object: more fields of each request."""
    openai_speech_at_once: int = Field(4, ge=1, le=64)
    """Number of sentences that one server speaks at the same time."""
    openai_speech_health_path: str = "/v1/models"
    openai_speech_connect_seconds: float = Field(2.0, gt=0, le=60)
    openai_speech_first_audio_seconds: float | None = Field(None, gt=0)
    openai_speech_stall_seconds: float | None = Field(None, gt=0)
    synth_stall_seconds: float = Field(20, gt=0)

    @field_validator("openai_speech_urls")
    @classmethod
    def _addresses(cls, value: str) -> str:
        without_v1 = ",".join(part.strip().rstrip("/").removesuffix("/v1") for part in value.split(","))
        return ",".join(server_urls(without_v1, _EXAMPLE))

    @field_validator("openai_speech_api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value is not None else ""
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError("must be printable ASCII, without a space or a line break at its ends (value not shown)")
        return value

    @field_validator("openai_speech_health_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/") or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(f"{value!r} is not a path, as in /health")
        return value

    @field_validator("openai_speech_extra_body")
    @classmethod
    def _json_object(cls, value: str | None) -> str | None:
        if value is not None:
            _fields(value)
        return value

    @model_validator(mode="after")
    def _ends_before_synth(self) -> OpenAiSpeechSettings:
        for name in ("openai_speech_first_audio_seconds", "openai_speech_stall_seconds"):
            if (given := getattr(self, name)) is not None and given >= self.synth_stall_seconds:
                raise ValueError(
                    f"{name.upper()}: {given:g} is not less than SYNTH_STALL_SECONDS ({self.synth_stall_seconds:g}), "
                    "after which the bridges report synth_stalled; raise that with it, for synth and both bridges"
                )
        return self

    @property
    def urls(self) -> list[str]:
        """Addresses of the servers without `/v1` and a slash at the end: at least one, each once."""
        return self.openai_speech_urls.split(",")

    @property
    def limits(self) -> SentenceLimits:
        """The timeouts of a sentence. With several servers there is time to try another one after a silent one."""
        total_s = SHARE_OF_STALL * self.synth_stall_seconds
        first_s = self.openai_speech_first_audio_seconds or (total_s if len(self.urls) == 1 else total_s / 2)
        return SentenceLimits(first_s, self.openai_speech_stall_seconds or total_s, max(total_s, first_s))

    @property
    def voice_defaults(self) -> VoiceDefaults:
        """What a voice has that does not set it itself."""
        extra = _fields(self.openai_speech_extra_body or "{}")
        return VoiceDefaults(self.openai_speech_model, self.openai_speech_format, self.openai_speech_sample_rate, extra)

    @cached_property
    def access(self) -> ServerAccess:
        """How to connect to the servers. Reads the CA file. Raises Misconfigured that names the setting and the fix."""
        tls: ssl.SSLContext | None = None
        plain = [url for url in self.urls if not url.startswith("https://")]
        if self.openai_speech_ca is not None and len(plain) == len(self.urls):
            raise Misconfigured(
                "OPENAI_SPEECH_CA is set, but no address in OPENAI_SPEECH_URLS is with TLS; write https://, or remove "
                "OPENAI_SPEECH_CA"
            )
        if len(plain) < len(self.urls):
            try:
                tls = TlsFiles(_TLS, ca=self.openai_speech_ca).context()
            except SettingsError as exc:
                raise Misconfigured(str(exc)) from None
        key = self.openai_speech_api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
        return ServerAccess(self.openai_speech_connect_seconds, tls, headers)

    @classmethod
    def load(cls) -> OpenAiSpeechSettings:
        """Returns the settings of this process. Raises Misconfigured that names each wrong variable."""
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(cls, exc)) from None
