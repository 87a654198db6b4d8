"""Settings of the engine, which the engine process reads from the environment and `.env`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.service.setting_problems import describe
from services.synth.engines.base import Misconfigured


class PocketSettings(BaseSettings):
    """Files of the model and of the voices, and the language."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    pocket_config: Path | None = None
    """The model's YAML."""
    pocket_voices: Path | None = None
    """Folder of voices; None: `voices` in the YAML's folder."""
    pocket_language: str = "en-US"
    """BCP 47 tag of the model's language; its files do not name it."""

    @field_validator("pocket_language")
    @classmethod
    def _tag(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", value):
            raise ValueError(f"{value!r} is not a BCP 47 tag such as en-US")
        return value

    @property
    def config(self) -> Path:
        """The model's YAML, absolute. Raises Misconfigured if it is not set."""
        if self.pocket_config is None:
            raise Misconfigured("POCKET_CONFIG is not set; set it to the YAML of a Pocket TTS model")
        return self.pocket_config.absolute()

    @property
    def voices(self) -> Path:
        """The folder of voices, absolute."""
        return (self.pocket_voices or self.config.parent / "voices").absolute()

    @classmethod
    def load(cls) -> PocketSettings:
        """Returns the settings of this process. Raises Misconfigured that names each wrong variable."""
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(cls, exc)) from None
