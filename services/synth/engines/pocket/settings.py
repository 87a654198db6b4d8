"""Settings of the engine, read from the environment and `.env` by the engine's process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.synth.engines.base import Misconfigured


class PocketSettings(BaseSettings):
    """Where the model is, and what it can say."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    pocket_config: Path | None = None
    """The model's YAML."""
    pocket_voices: Path | None = None
    """Folder of voices; None: `voices` beside the YAML."""
    pocket_language: str = Field("en-US", pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$")
    """BCP 47 tag: what the model was trained on, which its files do not say."""

    @property
    def config(self) -> Path:
        """The model's YAML, absolute. Raises Misconfigured when none is named."""
        if self.pocket_config is None:
            raise Misconfigured("POCKET_CONFIG is not set; name the YAML of a Pocket TTS model")
        return self.pocket_config.absolute()

    @property
    def voices(self) -> Path:
        """The folder of voices, absolute."""
        return (self.pocket_voices or self.config.parent / "voices").absolute()

    @classmethod
    def load(cls) -> PocketSettings:
        """The settings of this process. Raises Misconfigured naming each variable that is wrong."""
        try:
            return cls()
        except ValidationError as exc:
            wrong = exc.errors(include_url=False, include_input=False)
            raise Misconfigured("; ".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in wrong)) from None
