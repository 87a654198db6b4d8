"""One line of a script: one sentence with all that the engine needs for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One sentence for the engine. All attempts at a request have the same lines in the same order."""

    text: str
    """The sentence as it was written, for display."""
    spoken: str
    """The sentence as the engine gets it."""
    language: str
    """BCP 47 tag."""
    speed: float = 1.0
    pause_s: float = 0.0
    """Seconds of silence after it."""
    before_s: float = 0.0
    """Seconds of silence before it; only for a first line."""
