"""The gain of each voice: how it is chosen, and which one a sentence gets. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.synth.audio.loudness import Loudness

STEP_DB = 0.5
"""Gains are multiples of this, so that measurements that differ little give the same gain."""
MAX_PEAK_DBFS = -1.0
"""Highest true peak of the measured speech after a gain above 0 dB."""
MAX_GAIN_DB, MIN_GAIN_DB = 20.0, -30.0
"""A voice that needs more than that is recorded wrongly: its noise would be amplified, too."""


def gain_for(loudness: Loudness, target_lufs: float) -> float:
    """Returns the gain in dB, a multiple of STEP_DB, that brings a voice nearest to `target_lufs`.

    A gain above 0 dB ends where the true peak of the measured speech would exceed MAX_PEAK_DBFS. So a voice with high
    peaks stays below the target, and a voice is never lowered because of its peaks.
    """
    wanted = round((target_lufs - loudness.lufs) / STEP_DB) * STEP_DB
    room = math.floor((MAX_PEAK_DBFS - loudness.peak_dbfs) / STEP_DB) * STEP_DB
    return max(MIN_GAIN_DB, min(wanted, max(room, 0.0), MAX_GAIN_DB)) + 0.0  # no -0.0


@dataclass(frozen=True, slots=True)
class Levels:
    """The gains of an engine's voices, in dB. What is not in it has 0 dB."""

    voices: Mapping[str, float] = field(default_factory=dict)
    """By the name of the voice."""
    languages: Mapping[str, float] = field(default_factory=dict)
    """By the BCP 47 tag in lower case: of the voice that the engine chooses for a request without one. In the order of
    the engine's voices."""
    default_language: str = ""
    """That of the first voice, which speaks a language that no voice has."""

    def gain_db(self, voice: str | None, language: str) -> float:
        """Returns the gain of a sentence in dB.

        A voice that was not measured, such as `ko+f3`, has the gain of the voice before the `+`.
        """
        if voice is not None:
            base = voice.partition("+")[0]
            return self.voices.get(voice, self.voices.get(base, self.voices.get(base.lower(), 0.0)))
        return self.languages.get(self._listed(language.replace("_", "-").lower()), 0.0)

    def _listed(self, language: str) -> str:
        """Returns the tag that an engine takes for `language`: the same one, else one with fewer parts, else the first
        one of that language with any country, else that of the first voice.
        """
        parts = language.split("-")
        for count in range(len(parts), 0, -1):
            if (tag := "-".join(parts[:count])) in self.languages:
                return tag
        same = (tag for tag in self.languages if tag.partition("-")[0] == parts[0])
        return next(same, self.default_language)

    def mark(self, voice: str | None, language: str | None = None) -> str:
        """Returns what the version of the engine needs so that different gains have different versions; "" for 0 dB.

        Without `voice` and `language` it covers the gains of all languages, because an utterance may have several.
        """
        if voice is None and language is None:
            return f"+levels-{self._digest()}" if any(self.languages.values()) else ""
        gain = self.gain_db(voice, language or "")
        return f"{gain:+.1f}dB" if gain else ""

    def _digest(self) -> str:
        about = json.dumps([list(self.languages.items()), self.default_language])
        return hashlib.sha256(about.encode()).hexdigest()[:8]


NO_LEVELS = Levels()
"""All voices as the engine gives them."""
