"""How the time of a drain is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.base.drain import MIN_DRAIN_S, Drain
from orastream.service.settings import NodeSettings

pytestmark = pytest.mark.unit


@given(st.floats(MIN_DRAIN_S, 3600))
def test_work_ends_before_calls_and_calls_before_the_process(seconds: float) -> None:
    drain = Drain(seconds)
    assert 0 < drain.work_s < drain.calls_s < drain.tasks_s < drain.seconds == seconds


def test_the_default_ends_before_docker_kills_a_container() -> None:
    drain = NodeSettings().drain
    assert drain.seconds < 10 and drain.work_s == 6
