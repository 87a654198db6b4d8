"""The last reports of a session, by request token. Pure."""

from __future__ import annotations

from orastream.contract.report_state import ReportState

MAX_REPORTS = 8
"""Of how many request ids. The report of one that was forgotten is read again when the id comes again."""


class KnownReports:
    """The last report under each of the last MAX_REPORTS request ids, with the time when it came."""

    def __init__(self) -> None:
        self._by_token: dict[str, tuple[ReportState, float]] = {}

    def get(self, token: str) -> tuple[ReportState, float] | None:
        """The report and when it came (monotonic seconds), or None."""
        return self._by_token.get(token)

    def add(self, token: str, state: ReportState, now: float) -> bool:
        """Add a report that came now. False if a report of this revision, or a later one, is known."""
        known = self._by_token.get(token)
        if known is not None and known[0].revision >= state.revision:
            return False
        self._by_token.pop(token, None)
        self._by_token[token] = (state, now)
        if len(self._by_token) > MAX_REPORTS:
            del self._by_token[next(iter(self._by_token))]
        return True
