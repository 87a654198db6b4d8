"""Settings of the engine, which the engine process reads from the environment and `.env`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.service.setting_problems import describe
from services.synth.engines.base import Misconfigured


class GptSovitsLocalSettings(BaseSettings):
    """Folder of the models, and the file with the voices."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    gpt_sovits_models: Path | None = None
    """GPT-SoVITS' folder `pretrained_models`."""
    gpt_sovits_voices: Path = Path("voices.yaml")

    @property
    def models(self) -> Path:
        """The folder of models, absolute. Raises Misconfigured if it is not set."""
        if self.gpt_sovits_models is None:
            raise Misconfigured("GPT_SOVITS_MODELS is not set; set it to GPT-SoVITS' folder pretrained_models")
        return self.gpt_sovits_models.absolute()

    @classmethod
    def load(cls) -> GptSovitsLocalSettings:
        """Returns the settings of this process. Raises Misconfigured that names each wrong variable."""
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(cls, exc)) from None
