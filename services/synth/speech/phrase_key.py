"""Which sentences are worth caching, and under which key. Pure."""

from __future__ import annotations

import hashlib
import json

from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.speech.kept_phrase import KEPT_LAYOUT
from services.synth.text.script import ScriptLine

FETCH_S = 0.02
"""Approximate seconds to fetch a sentence from the store. One that the engine makes faster is not stored."""


def phrase_key(info: EngineInfo, line: ScriptLine, voice: str | None) -> str:
    """Returns the key of a sentence's audio. The same key means the same audio. The text cannot be read from it.

    The key covers the layout of the stored bytes, and all that the sound depends on: engine, its version with the gain
    of the voice, voice, language, speed, rate, spoken text. The format is not in it, because each format is made from
    the same samples.
    """
    about = [
        KEPT_LAYOUT,
        info.name,
        info.version_of(voice, line.language),
        voice or "",
        line.language,
        line.speed,
        info.sample_rate_hz(voice),
        line.spoken,
    ]
    return hashlib.sha256(json.dumps(about, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


class Worth:
    """Whether the engine is slow enough for the cache to help, by a moving mean. Not thread-safe."""

    _SHARE = 0.2  # weight of the newest sentence in the moving mean

    def __init__(self) -> None:
        self._mean_s: float | None = None

    def note(self, spent_s: float) -> None:
        """Adds the seconds that the engine spent on a sentence."""
        self._mean_s = spent_s if self._mean_s is None else self._mean_s + self._SHARE * (spent_s - self._mean_s)

    @property
    def looking_up(self) -> bool:
        """Whether to look up the next sentence; always True before the first measurement."""
        return self._mean_s is None or self._mean_s >= FETCH_S

    @staticmethod
    def keeping(spent_s: float) -> bool:
        """Whether to store a sentence on which the engine spent that many seconds."""
        return spent_s >= FETCH_S
