"""When a soak is flat: the last samples against those after the first thousand sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.samples import FIRST_SESSIONS, WINDOW, Sample, problems

pytestmark = pytest.mark.unit

MIB = 1 << 20


def run_of(
    memory_mib: list[float], *, descriptors: list[int] | None = None, latencies_ms: list[float] | None = None
) -> list[Sample]:
    """A sample for each value, all after the first thousand sessions."""
    count = len(memory_mib)
    return [
        Sample(10.0 * n, FIRST_SESSIONS + n, {"ws_bridge": int(mib * MIB)}, {"ws_bridge": fds}, [ms])
        for n, (mib, fds, ms) in enumerate(
            zip(memory_mib, descriptors or [30] * count, latencies_ms or [20.0] * count, strict=True)
        )
    ]


@given(st.lists(st.floats(95, 105), min_size=2 * WINDOW, max_size=60))
def test_it_is_flat_when_values_only_vary(memory_mib: list[float]) -> None:
    assert problems(run_of(memory_mib), {}) == []


@given(st.integers(2 * WINDOW, 60), st.floats(0.5, 10))
def test_it_is_not_flat_when_memory_grows_steadily(count: int, mib_each: float) -> None:
    grown = mib_each * (count - WINDOW)
    found = problems(run_of([60 + mib_each * n for n in range(count)]), {})
    assert bool(found) == (60 + mib_each * (WINDOW - 1) / 2 + grown > 1.2 * (60 + mib_each * (WINDOW - 1) / 2))


def test_one_high_sample_at_the_end_does_not_count() -> None:
    assert problems(run_of([60.0] * 20 + [200.0]), {}) == []


def test_growing_descriptors_and_latency_are_named() -> None:
    count = 3 * WINDOW
    found = problems(
        run_of(
            [60.0] * count,
            descriptors=[30] * WINDOW + [60] * (count - WINDOW),
            latencies_ms=[20.0] * WINDOW + [90.0] * (count - WINDOW),
        ),
        {},
    )
    assert found == [
        "ws_bridge: open descriptors grew from 30 to 60",
        "the median latency grew from 20 to 90 ms",
    ]


def test_a_run_without_a_thousand_sessions_is_too_short() -> None:
    assert "too short" in problems([Sample(0.0, 10, {}, {}, [])] * 30, {})[0]


def test_memory_of_a_part_with_a_limit_may_go_up_and_down_below_it() -> None:
    up_and_down = [60.0] * WINDOW + [90.0] * WINDOW
    assert problems(run_of(up_and_down), {"ws_bridge": 100 * MIB}) == []
    assert problems(run_of(up_and_down), {"ws_bridge": 80 * MIB}) == ["ws_bridge: memory grew from 60 to 90 MiB"]
