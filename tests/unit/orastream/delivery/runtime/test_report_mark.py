"""The mark in the stream of reports: always some seconds old, so that it is before what matters now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.runtime.report_mark import STEP_S, ReportMark

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 9)), max_size=40))
def test_each_report_after_the_marks_time_has_a_higher_sequence(steps: list[tuple[float, int]]) -> None:
    mark, now, sequence, stored = ReportMark(), 100.0, 0, list[tuple[float, int]]()
    for passed_s, count in steps:
        now, sequence = now + passed_s, sequence + count
        stored.append((now, sequence))
        mark.stored(sequence, now)
        assert mark.at == float("-inf") or mark.at <= now - STEP_S
    assert all(sequence > mark.sequence for at, sequence in stored if at > mark.at)


def test_before_two_reports_are_known_everything_is_read() -> None:
    mark = ReportMark()
    mark.stored(7, 10.0)
    assert (mark.sequence, mark.at) == (0, float("-inf"))
    mark.stored(9, 10.0 + STEP_S)
    assert (mark.sequence, mark.at) == (7, 10.0)
    mark.reset()
    assert (mark.sequence, mark.at) == (0, float("-inf"))
