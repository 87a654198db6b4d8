"""Settings of the engine, which the engine process reads from the environment and `.env`.

It does not use `orastream.service.settings`: that imports NATS, which takes longer than the rest of the start.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.service.setting_problems import describe
from services.synth.engines.base import Misconfigured
from services.synth.engines.servers.settings import SHARE_OF_STALL, server_urls

_EXAMPLE = "http://127.0.0.1:9880"


class GptSovitsSettings(BaseSettings):
    """Addresses of the servers, and the file with the voices."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    gpt_sovits_urls: str = _EXAMPLE
    """Comma-separated addresses."""
    gpt_sovits_voices: Path = Path("voices.yaml")
    synth_stall_seconds: float = Field(20, gt=0)

    @field_validator("gpt_sovits_urls")
    @classmethod
    def _addresses(cls, value: str) -> str:
        return ",".join(server_urls(value, _EXAMPLE))

    @property
    def urls(self) -> list[str]:
        """Addresses of the servers without a slash at the end: at least one, each once."""
        return self.gpt_sovits_urls.split(",")

    @property
    def silence_timeout_s(self) -> float:
        """Timeout for a silent server, in seconds. Shorter than synth's own, so that the error names the server."""
        return SHARE_OF_STALL * self.synth_stall_seconds

    @classmethod
    def load(cls) -> GptSovitsSettings:
        """Returns the settings of this process. Raises Misconfigured that names each wrong variable."""
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(cls, exc)) from None
