"""When lost bytes are sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.streams.resend_pace import FIRST_WAIT_S, MAX_WAIT_S, SHARE, ResendPace

pytestmark = pytest.mark.unit


def test_at_once_the_first_time() -> None:
    pace = ResendPace()
    pace.acked(3, 10.0, new=0, lost=True)
    assert pace.not_before <= 10.0


def test_an_ack_of_an_earlier_frame_says_nothing() -> None:
    pace = ResendPace()
    pace.sent(5, 100)
    pace.acked(4, 10.0, new=0, lost=True)
    assert pace.not_before <= 10.0
    pace.acked(5, 10.0, new=0, lost=True)
    assert pace.not_before == 10.0 + FIRST_WAIT_S


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), st.floats(0, 1)), max_size=60))
def test_at_most_so_long_and_not_at_all_if_it_stores_some_of_it(acks: list[tuple[int, int, float]]) -> None:
    pace, now, frame, in_vain = ResendPace(), 0.0, 0, 0
    for new, frames, passed in acks:
        now += passed
        if now >= pace.not_before:
            for _ in range(frames):
                frame, in_vain = frame + 1, in_vain + 100
                pace.sent(frame, 100)
        pace.acked(frame, now, new=new, lost=not new)
        in_vain = max(in_vain - SHARE * new, 0)
        assert pace.not_before <= now + MAX_WAIT_S
        if new and not in_vain:
            assert pace.not_before <= now


@given(st.integers(1, 20))
def test_fruitless_rounds_need_more_and_more_time(rounds: int) -> None:
    pace, now, waits = ResendPace(), 0.0, []
    for frame in range(rounds):
        pace.sent(frame, 100)
        pace.acked(frame, now, new=0, lost=True)
        waits.append(pace.not_before - now)
        now = pace.not_before
    assert waits == pytest.approx([min(FIRST_WAIT_S * 2**n, MAX_WAIT_S) for n in range(rounds)])


def test_a_byte_for_each_round_is_too_little() -> None:
    pace, now = ResendPace(), 0.0
    for frame in range(10):
        pace.sent(frame, 10_000)
        pace.acked(frame, now, new=1, lost=True)
        now = pace.not_before
    assert now > 10
