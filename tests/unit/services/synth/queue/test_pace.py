"""The work of a request is estimated from its size and the last utterances."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.queue.pace import FIRST_GUESS_S, Pace
from services.synth.queue.queued_request import QueuedRequest

pytestmark = pytest.mark.unit


def request(size: int, *, live: bool = True, streamed: bool = False) -> QueuedRequest:
    delivery: Any = SimpleNamespace(data=bytes(size))
    return QueuedRequest("s", delivery, 0.0, streamed, live, read=lambda: delivery)


def test_before_the_first_utterance_there_is_a_guess() -> None:
    pace = Pace(15.0)
    assert not pace.known and pace.rtf == 0.0
    assert (pace.mean_s, pace.of(request(1000))) == (FIRST_GUESS_S, FIRST_GUESS_S)
    pace.took(1000, 10.0, 2.0)
    assert pace.known and pace.rtf == pytest.approx(0.2)


@given(st.floats(0.01, 2), st.lists(st.integers(100, 2_000), min_size=1, max_size=50), st.integers(1, 2_000))
def test_steady_engine_gives_exact_estimates(rtf: float, sizes: list[int], size: int) -> None:
    """Each byte of a request is 0.02 s of audio."""
    pace = Pace(None)
    for one in sizes:
        pace.took(one, one * 0.02, one * 0.02 * rtf)
    assert pace.of(request(size)) == pytest.approx(size * 0.02 * rtf)
    assert min(sizes) * 0.02 * rtf * 0.999 <= pace.mean_s <= max(sizes) * 0.02 * rtf * 1.001


def test_live_request_counts_until_its_listener_has_the_lead_and_a_file_to_its_end() -> None:
    pace, without_turns = Pace(15.0), Pace(None)
    for one in (pace, without_turns):
        for _ in range(3):
            one.took(10_000, 200.0, 20.0)  # 0.1 s of work for a second of audio
    assert pace.of(request(10_000)) == pytest.approx(15 * 0.1 / 0.9), "the listener hears while it is made"
    assert pace.of(request(10_000, live=False)) == pytest.approx(20.0)
    assert pace.of(request(100)) == pytest.approx(0.2)
    assert without_turns.of(request(10_000)) == pytest.approx(20.0)


def test_engine_that_is_slower_than_speech_keeps_its_slot_to_the_end() -> None:
    pace = Pace(15.0)
    pace.took(10_000, 100.0, 120.0)
    assert pace.of(request(10_000)) == pytest.approx(120.0)


@pytest.mark.parametrize(("audio_s", "work_s"), [(1e308, 1e308), (float("inf"), 1.0), (1.0, float("nan")), (-1.0, 1.0)])
def test_figures_that_cannot_be_true_change_nothing(audio_s: float, work_s: float) -> None:
    pace = Pace(15.0)
    pace.took(100, 1.0, 0.1)
    pace.took(100, audio_s, work_s)
    assert (pace.mean_s, pace.of(request(100))) == pytest.approx((0.1, 0.1))


def test_streamed_texts_are_estimated_by_the_mean_and_do_not_distort_that_of_whole_texts() -> None:
    pace = Pace(None)
    pace.took(None, 10.0, 3.0)
    assert pace.of(request(50, streamed=True)) == pace.of(request(5_000)) == pytest.approx(3.0)
    pace.took(500, 10.0, 1.0)
    assert pace.of(request(500)) == pytest.approx(1.0)
    assert 1.0 < pace.of(request(50, streamed=True)) < 3.0


def test_estimate_follows_a_change_of_the_engine() -> None:
    pace = Pace(None)
    for rtf in (0.1, 0.4):
        for _ in range(40):
            pace.took(500, 10.0, 10.0 * rtf)
    assert pace.of(request(500)) == pytest.approx(4.0, rel=0.05)
