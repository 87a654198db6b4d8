"""Counters with known label values are exported with 0 from the start, as `rate()` needs it."""

from __future__ import annotations

import re

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import FINAL
from orastream.service.metrics import DeliveryMetrics, Metrics
from services.gateway.http import outcomes, responses
from services.gateway.request_service import RequestService
from services.synth.job.metrics import SynthMetrics

pytestmark = pytest.mark.unit


def series(metrics: Metrics, name: str) -> dict[str, float]:
    """The samples of a counter: its labels as text, and its value."""
    found = re.findall(rf"^{name}_total{{(.+)}} (.+)$", metrics.render().decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


@pytest.mark.parametrize("kind", ["ws_bridge", "http_bridge"])
def test_bridge_exports_every_outcome_from_the_start(kind: str) -> None:
    metrics = Metrics()
    counts = DeliveryMetrics(metrics, kind, lambda _report: None)
    ends = {f'outcome="{status}"': 0.0 for status in FINAL}
    assert series(metrics, f"orastream_{kind}_requests") == ends
    counts.ended("failed")
    assert series(metrics, f"orastream_{kind}_requests") == ends | {'outcome="failed"': 1.0}


def test_synth_exports_every_outcome_and_result_from_the_start() -> None:
    metrics = Metrics()
    spoken: list[float] = []
    counts = SynthMetrics(metrics, spoken.append)
    ends = ("complete", "failed", "cancelled", "unwanted", "expired", "duplicate", "superseded", "internal")
    assert series(metrics, "orastream_synth_requests") == {f'outcome="{end}"': 0.0 for end in ends}
    results = {f'result="{result}"': 0.0 for result in ("hit", "miss", "unanswered")}
    assert series(metrics, "orastream_synth_phrase_lookups") == results
    counts.spoken(2.0, 0.5, None)
    counts.done("complete")
    counts.phrase_looked_up("hit")
    assert series(metrics, "orastream_synth_requests")['outcome="complete"'] == 1.0
    assert series(metrics, "orastream_synth_phrase_lookups")['result="hit"'] == 1.0
    assert b"orastream_synth_audio_seconds_total 2.0" in metrics.render() and spoken == [2.0]


def test_gateway_exports_the_outcomes_of_every_route_from_the_start() -> None:
    metrics = Metrics()
    RequestService(Client("nats://127.0.0.1:1"), 1.0, metrics)
    assert len(series(metrics, "orastream_gateway_requests")) == len(outcomes.KNOWN) < 170
    assert FINAL < outcomes.ROUTES["convert-tts"]
    assert all(responses.internal().outcome in of for of in outcomes.ROUTES.values())


def test_counter_with_a_label_that_is_kept_elsewhere_is_read_at_each_scrape() -> None:
    metrics, counts = Metrics(), {"passed": 0, "failed": 0}
    metrics.totals("orastream_tries", "Tries", "result", lambda: counts)
    assert series(metrics, "orastream_tries") == {'result="passed"': 0.0, 'result="failed"': 0.0}
    counts["failed"] += 2
    assert series(metrics, "orastream_tries") == {'result="passed"': 0.0, 'result="failed"': 2.0}
