"""Counts the requests and connections that a bound of the gateway has refused, by reason."""

from __future__ import annotations

from typing import Literal, get_args

from orastream.service.metrics import Metrics

Reason = Literal[
    "requests_per_minute",
    "characters_per_minute",
    "concurrent",
    "connections_per_address",
    "connections",
    "head_timeout",
    "body_timeout",
    "stalled_reader",
    "framing",
]


class RefusalCounter:
    """The counter of refusals. For one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = metrics.counter(
            "orastream_gateway_refusals",
            "Requests and connections refused or ended by a bound, by reason",
            ("reason",),
            known=[(reason,) for reason in get_args(Reason)],
        )

    def count(self, reason: Reason) -> None:
        """Count one refusal."""
        self._counter.labels(reason=reason).inc()
