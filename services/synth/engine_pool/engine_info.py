"""What synth knows of an engine: its `EngineInfo`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from services.synth.audio.levels import NO_LEVELS, Levels
from services.synth.engine_pool.frames import Frame
from services.synth.engines.base import Voice


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine reports after it has loaded: the fields of `Engine` in engines.base."""

    name: str
    version: str
    deterministic: bool
    at_once: int
    scales: bool
    default_sample_rate_hz: int
    voices: Mapping[str, Voice]
    max_growth_mb: int | None = None
    trained: bool = True
    """Whether a model that has learned from recordings makes the sound."""
    levels: Levels = NO_LEVELS
    """The gains that synth gives the voices, which the engine does not know."""

    @classmethod
    def of(cls, ready: Frame) -> EngineInfo:
        """Returns what a `ready` frame says."""
        return cls(
            name=ready["name"],
            version=ready["version"],
            deterministic=ready["deterministic"],
            at_once=ready["at_once"],
            scales=ready["scales"],
            default_sample_rate_hz=ready["sample_rate_hz"],
            max_growth_mb=ready["max_growth_mb"],
            trained=ready["trained"],
            voices={name: Voice(name, language, rate, tuple(also)) for name, language, rate, also in ready["voices"]},
        )

    def differences(self, other: EngineInfo) -> list[str]:
        """Returns the names of the fields that differ from `other`."""
        names = (field.name for field in fields(self))
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the sample rate of a voice; the default rate if it is not listed (a variant, or unknown)."""
        known = self.voices.get(voice) if voice else None
        return known.sample_rate_hz if known else self.default_sample_rate_hz

    def version_of(self, voice: str | None, language: str | None = None) -> str:
        """Returns the version of the audio of a voice: the engine's, and a mark if the voice has a gain.

        Without a voice: of a sentence in that language, or of an utterance that may have sentences in all of them.
        """
        return self.version + self.levels.mark(voice, language)
