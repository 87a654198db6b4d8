"""The estimate of the server's clock: its error is bounded by the round trips, also when clocks step or drift."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.jetstream import management
from orastream.jetstream.server_clock import DRIFT, MAX_AGE_S, MAX_ROUND_TRIP_S, OffsetEstimator, Sample, ServerClock

pytestmark = pytest.mark.unit

SLACK_S = 1e-5
"""Rounding of unix times in a float."""
UNIX_S = 1.8e9

# A sample: seconds since the last one, its round trip, and where in the round trip the server reads its clock.
gaps = st.floats(0, 30)
trips = st.floats(0, MAX_ROUND_TRIP_S - 0.01)
places = st.floats(0, 1)
asks = st.tuples(gaps, trips, places)


class TwoClocks:
    """A server whose time is `offset_s` plus the local monotonic time, times a drift."""

    def __init__(self, offset_s: float, drift: float = 0.0) -> None:
        self.now = 0.0
        self.offset_s = offset_s
        self.drift = drift
        self.estimator = OffsetEstimator()
        self.bounds: list[tuple[float, float]] = []
        """Half of each round trip, and when it began."""

    def ask(self, gap_s: float, trip_s: float, place: float, server: str = "") -> None:
        sent_at = self.now + gap_s
        self.now = sent_at + trip_s
        server_s = self.server_s(sent_at + place * trip_s)
        self.estimator.add(Sample(server_s, sent_at, self.now, server))
        self.bounds.append((trip_s / 2, sent_at))

    def server_s(self, now: float) -> float:
        return now * (1 + self.drift) + self.offset_s

    @property
    def error_s(self) -> float:
        offset_s = self.estimator.offset_s
        assert offset_s is not None
        return abs(self.now + offset_s - self.server_s(self.now))


@given(st.floats(-UNIX_S, UNIX_S), st.lists(asks, min_size=1, max_size=20))
def test_the_error_is_at_most_half_of_the_best_recent_round_trip(
    offset_s: float, samples: list[tuple[float, float, float]]
) -> None:
    clocks = TwoClocks(offset_s)
    for sample in samples:
        clocks.ask(*sample)
        recent = [half + DRIFT * (clocks.now - at) for half, at in clocks.bounds if clocks.now - at <= MAX_AGE_S]
        assert clocks.error_s <= min(recent) + SLACK_S
        assert clocks.error_s <= clocks.estimator.bound_s(clocks.now) + SLACK_S


@given(st.floats(-DRIFT, DRIFT), st.lists(asks, min_size=1, max_size=20), gaps)
def test_the_bound_covers_a_drift(drift: float, samples: list[tuple[float, float, float]], later_s: float) -> None:
    clocks = TwoClocks(UNIX_S, drift)
    for sample in samples:
        clocks.ask(*sample)
        assert clocks.error_s <= clocks.estimator.bound_s(clocks.now) + SLACK_S
    clocks.now += later_s
    assert clocks.error_s <= clocks.estimator.bound_s(clocks.now) + SLACK_S


@given(st.lists(asks, max_size=10), st.floats(-4000, 4000), asks)
def test_after_a_step_of_the_server_the_next_sample_counts(
    before: list[tuple[float, float, float]], step_s: float, after: tuple[float, float, float]
) -> None:
    clocks = TwoClocks(UNIX_S)
    for sample in before:
        clocks.ask(*sample)
    clocks.offset_s += step_s
    clocks.ask(*after)
    newest_s = after[1] / 2 + DRIFT * after[1]
    # An old sample that the new one does not contradict is at most both bounds away from it.
    assert clocks.error_s <= 3 * newest_s + SLACK_S


@given(st.lists(asks, max_size=10), st.floats(-4000, 4000), asks)
def test_samples_of_another_server_are_forgotten(
    before: list[tuple[float, float, float]], differ_s: float, after: tuple[float, float, float]
) -> None:
    clocks = TwoClocks(UNIX_S)
    for sample in before:
        clocks.ask(*sample, server="a")
    clocks.offset_s += differ_s
    clocks.ask(*after, server="b")
    assert clocks.error_s <= after[1] / 2 + SLACK_S


def test_a_sample_of_a_call_that_waited_through_an_outage_is_used_only_while_there_is_no_other() -> None:
    clocks = TwoClocks(UNIX_S)
    clocks.ask(0, 8, 1.0, "one")
    assert clocks.estimator.offset_s == pytest.approx(UNIX_S + 4), "wrong by half of the outage, but there is no other"
    clocks.ask(1, 0.1, 0.5, "one")
    assert clocks.estimator.offset_s == pytest.approx(UNIX_S)
    clocks.ask(1, 8, 1.0, "two")
    assert clocks.estimator.offset_s == pytest.approx(UNIX_S)


def test_of_slow_samples_the_one_with_the_smallest_bound_is_used() -> None:
    clocks = TwoClocks(UNIX_S)
    clocks.ask(0, 4, 1.0)
    clocks.ask(1, 3, 0.5)
    assert clocks.estimator.offset_s == pytest.approx(UNIX_S)


def test_no_sample() -> None:
    assert OffsetEstimator().offset_s is None
    assert OffsetEstimator().bound_s(0.0) == math.inf
    clock = ServerClock()
    assert not clock.known
    assert clock.skew_s() == 0.0
    assert clock.now_s() == pytest.approx(time.time(), abs=1)


@pytest.mark.parametrize("shift_s", [-3600.0, -60.0, 0.0, 60.0])
def test_a_step_of_this_hosts_clock_changes_no_age(monkeypatch: pytest.MonkeyPatch, shift_s: float) -> None:
    clock = ServerClock()
    now, at = time.time(), time.monotonic()
    clock.add(Sample(now, at, at))
    monkeypatch.setattr(time, "time", lambda: now + shift_s)
    assert clock.age_s(now - 5) == pytest.approx(5, abs=1)
    assert clock.age_s(now + 5) == 0.0
    assert clock.monotonic_at(now - 5) == pytest.approx(at - 5, abs=0.001)
    assert clock.skew_s() == pytest.approx(shift_s, abs=1)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": {"code": 404}},
        *({"ts": ts, "cluster": {"leader": "n1"}} for ts in (None, "yesterday", 5)),
        *({"ts": "2026-11-28T23:00:42.651752725Z", "cluster": cluster} for cluster in (None, {}, {"leader": ""})),
    ],
)
def test_an_answer_without_a_time_or_a_leader_is_no_sample(answer: dict[str, object]) -> None:
    assert management.time_sample(answer, 1.0, 2.0) is None


def test_an_answer_names_the_leader_and_its_time() -> None:
    answer = {"ts": "2026-11-28T23:00:42.651752725Z", "cluster": {"leader": "n1"}}
    sample = management.time_sample(answer, 1.0, 2.0)
    assert sample == Sample(pytest.approx(1795906842.651752725), 1.0, 2.0, "n1")
