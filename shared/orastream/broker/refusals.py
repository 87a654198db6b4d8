"""What the server does not let this user do, as it said. It answers nothing else: a refused question just times out."""

from __future__ import annotations

_VIOLATION = "permissions violation for "
_MOST = 64


class Refusals:
    """The last of them, each kept once, for whoever asks why nothing came."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}

    def note(self, error: str) -> bool:
        """Keep it if it is a refusal; whether it is one that was not told before."""
        _, violation, what = error.lower().partition(_VIOLATION)
        if not violation or what in self._told:
            return False
        self._told[what] = None
        while len(self._told) > _MOST:
            del self._told[next(iter(self._told))]
        return True

    def of(self, *subjects: str) -> str | None:
        """What was refused that names one of these subjects, as in `publish to "tts.x"`, or None."""
        quoted = [f'"{subject.lower()}"' for subject in subjects]
        return next((what for what in self._told if any(subject in what for subject in quoted)), None)
