"""One line of a script: what the engine is given at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One sentence for the engine. All attempts at a request have the same lines in the same order."""

    text: str
    """As it was written: what a reader is shown."""
    spoken: str
    """What the engine is given."""
    language: str
    """BCP 47 tag."""
    speed: float = 1.0
    pause_s: float = 0.0
    """Silence after it."""
    before_s: float = 0.0
    """Silence before it: only in front of a first line."""
