"""Permissions that the server refused to this user. A refused request gets no answer: it would only time out."""

from __future__ import annotations

import re

_VIOLATION = "permissions violation for "
_MAX_REFUSALS = 64
_ANSWER = re.compile(r'"_r_\.[^"]*"')
"""Where an answer to another account goes: another subject each time, which would be logged each time."""


class Refusals:
    """The last 64 refusals, each kept once. They explain why no answer came."""

    def __init__(self) -> None:
        self._noted: dict[str, None] = {}

    def note(self, error: str) -> bool:
        """Keep `error` if it is a refusal. Returns whether it is one that is not kept yet."""
        _, violation, what = _ANSWER.sub('"_r_.…"', error.lower()).partition(_VIOLATION)
        if not violation or what in self._noted:
            return False
        self._noted[what] = None
        while len(self._noted) > _MAX_REFUSALS:
            del self._noted[next(iter(self._noted))]
        return True

    def of(self, *subjects: str) -> str | None:
        """Return a refusal that names one of these subjects, as in `publish to "tts.x"`, or None."""
        quoted = [f'"{subject.lower()}"' for subject in subjects]
        return next((what for what in self._noted if any(subject in what for subject in quoted)), None)
