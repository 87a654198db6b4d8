"""Counts what each caller has used, from the final reports that this process writes."""

from __future__ import annotations

from orastream.contract.caller import CallerNames
from orastream.contract.messages import FINAL, Report
from orastream.service.metrics import Metrics


class UsageMetrics:
    """Requests, characters and seconds of delivered speech by caller. Each final report is written by one process.

    The sums over all synths and bridges are what the node has done. There are at most MAX_NAMES callers, and `other`.
    """

    def __init__(self, metrics: Metrics, known: tuple[str, ...] = ()) -> None:
        """`known` are callers whose figures are shown from the start, and never as `other`."""
        self._names = CallerNames(known)
        self._requests = metrics.counter(
            "orastream_usage_requests",
            "Requests that have ended, by caller; written by the process that ended them",
            ("caller", "outcome"),
            known=[(name, outcome) for name in known for outcome in sorted(FINAL)],
        )
        names = [(name,) for name in known]
        self._characters = metrics.counter(
            "orastream_usage_characters", "Characters of the texts of ended requests, by caller", ("caller",), names
        )
        self._audio_s = metrics.counter(
            "orastream_usage_audio_seconds", "Seconds of delivered speech, by caller", ("caller",), names
        )

    def ended(self, report: Report) -> None:
        """Count a request whose final report this process has written."""
        name = self._names.label(report.caller or "")
        self._requests.labels(caller=name, outcome=report.status).inc()
        self._characters.labels(caller=name).inc(report.characters or 0)
        self._audio_s.labels(caller=name).inc(report.audio_seconds)
