"""Which sentences are worth keeping, and under what name. Pure."""

from __future__ import annotations

import hashlib
import json

from services.synth.engine_pool.process import EngineInfo
from services.synth.text.script import ScriptLine

FETCH_S = 0.02
"""A sentence that the engine makes in less is not kept: to fetch it would take about as long."""


def phrase_key(info: EngineInfo, line: ScriptLine, voice: str | None) -> str:
    """The name under which a sentence's audio is kept: the same name, the same audio. Says nothing of the text.

    All that the sound depends on is in it: engine, its version, voice, language, speed, rate, and what it is given. The
    format is not: it is made from the same samples.
    """
    about = [
        info.name,
        info.version,
        voice or "",
        line.language,
        line.speed,
        info.sample_rate_hz(voice),
        line.spoken,
    ]
    return hashlib.sha256(json.dumps(about, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


class Worth:
    """Whether the engine is slow enough for a cache to pay: what recent sentences took. Not for several threads."""

    _SHARE = 0.2  # of the newest sentence in the mean

    def __init__(self) -> None:
        self._mean_s: float | None = None

    def note(self, spent_s: float) -> None:
        """A sentence took that long to make."""
        self._mean_s = spent_s if self._mean_s is None else self._mean_s + self._SHARE * (spent_s - self._mean_s)

    @property
    def looking_up(self) -> bool:
        """Whether to ask for the next sentence at all: always before the first one is known."""
        return self._mean_s is None or self._mean_s >= FETCH_S

    @staticmethod
    def keeping(spent_s: float) -> bool:
        """Whether a sentence that took so long is worth keeping."""
        return spent_s >= FETCH_S
