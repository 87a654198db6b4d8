"""What a synth without a working engine process releases, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.queue.engine_absence import RELEASE_JOBS_AFTER_S, EngineAbsence, Released

pytestmark = pytest.mark.unit


def test_queue_is_released_at_once_and_jobs_after_a_while() -> None:
    absence = EngineAbsence()
    assert absence.look(True, 0.0) is Released.NOTHING
    assert absence.look(False, 1.0) is Released.QUEUE
    assert absence.look(False, 1.0 + RELEASE_JOBS_AFTER_S - 0.1) is Released.QUEUE
    assert absence.look(False, 1.0 + RELEASE_JOBS_AFTER_S) is Released.ALL
    assert absence.look(True, 20.0) is Released.NOTHING
    assert absence.look(False, 21.0) is Released.QUEUE, "the time of an earlier absence counts"


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 10)), max_size=30))
def test_jobs_are_released_only_after_an_absence_without_a_break(looks: list[tuple[bool, float]]) -> None:
    absence, now, since = EngineAbsence(), 0.0, None
    for can_speak, seconds in looks:
        now += seconds
        since = None if can_speak else (now if since is None else since)
        expected = Released.NOTHING
        if since is not None:
            expected = Released.ALL if now - since >= RELEASE_JOBS_AFTER_S else Released.QUEUE
        assert absence.look(can_speak, now) is expected
