"""The work of a request is estimated from its size and the last utterances."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.queue.pace import Pace

pytestmark = pytest.mark.unit


def test_nothing_is_known_before_the_first_utterance() -> None:
    pace = Pace(15.0)
    assert (pace.mean_s, pace.of(1000)) == (0.0, 0.0)


@given(st.floats(0.01, 2), st.lists(st.integers(100, 2_000), min_size=1, max_size=50), st.integers(1, 2_000))
def test_steady_engine_gives_exact_estimates(rtf: float, sizes: list[int], size: int) -> None:
    """Each byte of a request is 0.02 s of audio."""
    pace = Pace(1e9)
    for one in sizes:
        pace.took(one, one * 0.02, one * 0.02 * rtf)
    assert pace.of(size) == pytest.approx(size * 0.02 * rtf)
    assert min(sizes) * 0.02 * rtf * 0.999 <= pace.mean_s <= max(sizes) * 0.02 * rtf * 1.001


def test_long_request_counts_until_its_listener_has_the_lead() -> None:
    pace = Pace(15.0)
    for _ in range(3):
        pace.took(10_000, 200.0, 20.0)  # 0.1 s of work for a second of audio
    assert pace.of(10_000) == pytest.approx(1.5)
    assert pace.mean_s == pytest.approx(1.5)
    assert pace.of(100) == pytest.approx(0.2)


def test_estimate_follows_a_change_of_the_engine() -> None:
    pace = Pace(15.0)
    for rtf in (0.1, 0.4):
        for _ in range(40):
            pace.took(500, 10.0, 10.0 * rtf)
    assert pace.of(500) == pytest.approx(4.0, rel=0.05)
