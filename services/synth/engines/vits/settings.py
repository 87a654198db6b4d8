"""Settings of the engine, which the engine process reads from the environment and `.env`.

It does not use `orastream.service.settings`: that imports NATS, which an engine process does not need.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.service.setting_problems import describe
from services.synth.engines.base import Misconfigured


class VitsSettings(BaseSettings):
    """Directory of the voices, and how to compute them."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )

    tts_model_dir: Path | None = None
    """Directory of a voice, or directory with a directory for each voice."""
    tts_device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    tts_threads: int | None = Field(None, ge=1, le=256)
    tts_at_once: int = Field(4, ge=1, le=64)
    tts_batch: bool | None = None
    tts_batch_wait_ms: float = Field(5.0, ge=0, le=1_000)
    synth_slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)

    @property
    def threads(self) -> int:
        """Threads for the model of one process. Default: the cores divided by the number of engine processes."""
        processes = -(-self.synth_slots // self.tts_at_once)
        return self.tts_threads or max(_cores() // processes, 1)

    @classmethod
    def load(cls) -> VitsSettings:
        """Returns the settings of this process. Raises Misconfigured that names each wrong variable."""
        try:
            return cls()
        except ValidationError as exc:
            raise Misconfigured(describe(cls, exc)) from None


def _cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
