"""How long a caller waits for a connection that is made at its call, after one could not be made. Pure.

Without a server each caller would wait for a whole attempt, 5 s by default: a web server without NATS would then have
all its workers waiting. So after one failure callers get the same error at once, and the next attempt goes on while
they do not wait for it.
"""

from __future__ import annotations

PAUSE_S = 1.0
"""Seconds after a failed attempt in which no other one begins."""
PATIENCE_S = 0.5
"""Seconds from the begin of an attempt for which a caller waits for it, after an earlier attempt has failed."""


class ConnectPace:
    """The failures of the attempts so far. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Why the last attempt failed; None if none did since the last connection."""
        self._failed_s = 0.0

    def failed(self, problem: str, now_s: float) -> None:
        """An attempt has failed."""
        self.problem, self._failed_s = problem, now_s

    def connected(self) -> None:
        """An attempt has succeeded."""
        self.problem = None

    def pauses(self, now_s: float) -> bool:
        """Whether an attempt has failed so short ago that no other one begins now."""
        return self.problem is not None and now_s < self._failed_s + PAUSE_S

    def patience_s(self, began_s: float, now_s: float) -> float | None:
        """For how many seconds a caller waits for the attempt that began at `began_s`; None: until it ends."""
        return None if self.problem is None else max(0.0, began_s + PATIENCE_S - now_s)
