"""What a synth releases while none of its engine processes can speak, so that other synths speak it. Pure.

It pulls nothing and begins nothing then. An engine is usually replaced within seconds, and a job continues with the new
process. If that takes longer, the job is released too: another synth continues at its next chunk.
"""

from __future__ import annotations

from enum import Enum

RELEASE_JOBS_AFTER_S = 5.0
"""Seconds without a working engine process after which jobs in progress are released. A pull request that was sent
before has ended by then, so that this synth does not get them again."""


class Released(Enum):
    """What to nak now."""

    NOTHING = "an engine process can speak"
    QUEUE = "all requests that have not begun"
    ALL = "those, and the jobs in progress"


class EngineAbsence:
    """How long no engine process can speak. The caller passes times of one clock, in seconds."""

    def __init__(self) -> None:
        self._since: float | None = None

    def look(self, can_speak: bool, now: float) -> Released:
        """Returns what to release now; `can_speak`: an engine process can speak."""
        if can_speak:
            self._since = None
            return Released.NOTHING
        self._since = now if self._since is None else self._since
        return Released.ALL if now - self._since >= RELEASE_JOBS_AFTER_S else Released.QUEUE
