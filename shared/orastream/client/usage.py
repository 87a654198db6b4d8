"""Sums what each caller has used, from stored reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orastream.contract.codec import Map
from orastream.contract.messages import Report, Status


@dataclass(slots=True)
class Usage:
    """What one caller has used. `caller` is empty for requests whose sender is not known."""

    caller: str
    requests: int = 0
    """Requests with a report, those in progress included."""
    outcomes: dict[Status, int] = field(default_factory=dict)
    """Requests by the status of their last report."""
    characters: int = 0
    """Characters of their texts."""
    audio_seconds: float = 0.0
    """Seconds of speech delivered."""

    def to_map(self) -> Map:
        """The fields that `orastream usage --json` shows."""
        return {
            "caller": self.caller,
            "requests": self.requests,
            "outcomes": dict(self.outcomes),
            "characters": self.characters,
            "audioSeconds": round(self.audio_seconds, 3),
        }


def usage_of(reports: Iterable[Report]) -> list[Usage]:
    """Return the usage of each caller, the one with most characters first.

    `reports` are in the order in which they were stored; of each request the last one counts.
    """
    last = {(report.session_id, report.request_id): report for report in reports}
    found: dict[str, Usage] = {}
    for report in last.values():
        of = found.setdefault(report.caller or "", Usage(report.caller or ""))
        of.requests += 1
        of.outcomes[report.status] = of.outcomes.get(report.status, 0) + 1
        of.characters += report.characters or 0
        of.audio_seconds += report.audio_seconds
    return sorted(found.values(), key=lambda usage: (-usage.characters, usage.caller))
