"""The warning that servers give another sample rate than a voice declares, so that its audio is resampled."""

from __future__ import annotations

import structlog

log = structlog.get_logger()


class OtherRateWarning:
    """Logs it once for each voice and rate. For several threads: a race only repeats a line."""

    def __init__(self, server: str, fix: str) -> None:
        """`server` names what gives the rate, with its article; `fix` names the settings to change."""
        self._server = server
        self._fix = fix
        self._warned: set[tuple[str | None, int]] = set()

    def warn(self, voice: str | None, declared_hz: int, rate_hz: int) -> None:
        """A server gave audio of `rate_hz` for the voice."""
        if (voice, rate_hz) in self._warned:
            return
        self._warned.add((voice, rate_hz))
        log.warning(
            f"{self._server} gives another rate than the voice declares; resampled",
            voice=voice,
            declared_hz=declared_hz,
            rate_hz=rate_hz,
            fix=self._fix,
        )
