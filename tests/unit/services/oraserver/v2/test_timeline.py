"""Offsets and times of a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.oraserver.v2.timeline import Timeline

pytestmark = pytest.mark.unit


def test_wav_is_exact_behind_its_header() -> None:
    timeline = Timeline("wav", 8_000, 1)
    assert [timeline.ms_of(at) for at in (0, 44, 44 + 16_000)] == [0, 0, 1_000]
    assert [timeline.offset_of(ms) for ms in (0, 500, 1_000)] == [0, 44 + 8_000, 44 + 16_000]


def test_marks_of_a_coded_file_are_joined_by_lines() -> None:
    timeline = Timeline("opus", 48_000, 1)
    for at, ms in ((1_000, 200), (3_000, 1_200), (2_000, 100), (500, 900)):  # the last two do not rise
        timeline.mark(at, ms)
    assert [timeline.ms_of(at) for at in (0, 500, 1_000, 2_000, 5_000)] == [0, 100, 200, 700, 2_200]
    assert [timeline.offset_of(ms) for ms in (0, 100, 700, 2_200)] == [0, 500, 2_000, 5_000]


@given(st.sampled_from(["wav", "opus"]), st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 9_000))))
def test_time_rises_with_the_offset(fmt: str, marks: list[tuple[int, int]]) -> None:
    timeline = Timeline(fmt, 8_000, 1)
    for at, ms in marks:
        timeline.mark(at, ms)
    times = [timeline.ms_of(at) for at in range(0, 12_000, 100)]
    assert times == sorted(times)
    for at in range(100, 12_000, 500):
        assert abs(timeline.offset_of(timeline.ms_of(at)) - max(at, 44 if fmt == "wav" else 0)) <= 44
