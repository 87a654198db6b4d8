"""When an owner releases its session: after a time without work, at a drain, or at once when it must leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.lifetime import REST_AFTER_S, Lifetime

pytestmark = pytest.mark.unit

IDLE_S = 30.0
DRAIN_S = 6.0


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans(), st.booleans()), min_size=1))
def test_it_is_over_after_a_time_without_work(rounds: list[tuple[float, bool, bool]]) -> None:
    """`over` is true exactly when all rounds of the last IDLE_S seconds have found no work."""
    lifetime, now, idle_since = Lifetime(IDLE_S), 100.0, None
    for passed_s, delivering, work in rounds:
        now += passed_s
        idle_since = None if delivering or work else now if idle_since is None else idle_since
        expected = idle_since is not None and now >= idle_since + IDLE_S
        assert lifetime.over(now, delivering=delivering, work=work) == expected
        assert lifetime.has_work == (delivering or work)
        assert lifetime.rest_time() == (None if idle_since is None else idle_since + REST_AFTER_S)
        long_enough = idle_since is not None and now >= idle_since + REST_AFTER_S
        assert lifetime.rests(now, held=0, running=False) == long_enough
        assert not lifetime.rests(now, held=1, running=False) and not lifetime.rests(now, held=0, running=True)
        assert lifetime.next_time() == (None if idle_since is None else idle_since + IDLE_S)
        if expected:
            break


def test_a_new_owner_counts_as_having_work() -> None:
    """Until its first round has shown the opposite: the feeds may not have been read yet."""
    lifetime = Lifetime(IDLE_S)
    assert lifetime.has_work and lifetime.next_time() is None


@given(st.booleans(), st.booleans())
def test_it_is_over_at_once_after_leave(delivering: bool, work: bool) -> None:
    lifetime = Lifetime(IDLE_S)
    lifetime.leave("first")
    lifetime.leave("second")
    assert lifetime.over(0.0, delivering=delivering, work=work)
    assert lifetime.leave_reason == "first"


@given(st.booleans())
def test_a_drain_without_a_delivery_is_over_at_once(work: bool) -> None:
    lifetime = Lifetime(IDLE_S)
    lifetime.drain(10.0, DRAIN_S)
    assert lifetime.draining and lifetime.leave_reason is None
    assert lifetime.over(10.0, delivering=False, work=work)


def test_a_drain_waits_for_the_running_delivery_for_a_limited_time() -> None:
    lifetime = Lifetime(IDLE_S)
    lifetime.drain(10.0, DRAIN_S)
    assert not lifetime.over(10.0 + DRAIN_S - 0.1, delivering=True, work=True)
    assert lifetime.next_time() == 10.0 + DRAIN_S
    assert lifetime.over(10.0 + DRAIN_S, delivering=True, work=True)


def test_the_next_time_is_the_earlier_one_of_drain_and_release() -> None:
    lifetime = Lifetime(DRAIN_S / 2)
    assert not lifetime.over(10.0, delivering=False, work=False)
    lifetime.drain(10.0, DRAIN_S)
    assert lifetime.next_time() == 10.0 + DRAIN_S / 2


def test_a_session_that_gives_way_is_over_as_soon_as_it_has_no_work() -> None:
    lifetime = Lifetime(IDLE_S)
    lifetime.give_way()
    assert not lifetime.over(100.0, delivering=True, work=False)
    assert not lifetime.over(101.0, delivering=False, work=True)
    assert lifetime.over(102.0, delivering=False, work=False)


@given(st.floats(0, 300), st.booleans())
def test_it_is_kept_while_an_utterance_plays_that_a_cancel_may_end(plays_s: float, gives_way: bool) -> None:
    """Unless the bridge needs its place. It does not rest either."""
    lifetime = Lifetime(IDLE_S)
    lifetime.plays_until = 100.0 + plays_s
    assert not lifetime.over(100.0, delivering=False, work=True)
    if gives_way:
        lifetime.give_way()
        assert lifetime.over(100.0, delivering=False, work=False)
        return
    assert not lifetime.over(100.0, delivering=False, work=False)
    until = 100.0 + max(IDLE_S, plays_s)
    assert lifetime.next_time() == until
    assert not lifetime.over(until - 0.001, delivering=False, work=False)
    rest_at = 100.0 + max(REST_AFTER_S, plays_s)
    assert not lifetime.rests(rest_at - 0.001, held=0, running=False)
    assert lifetime.rests(rest_at, held=0, running=False)
    assert lifetime.over(until, delivering=False, work=False)


def test_a_session_neither_rests_nor_ends_before_what_was_heard_is_known() -> None:
    lifetime = Lifetime(IDLE_S)
    assert not lifetime.over(100.0, delivering=False, work=False)
    lifetime.heard_until = 100.0 + IDLE_S + 5
    assert not lifetime.rests(100.0 + REST_AFTER_S, held=0, running=False)
    assert not lifetime.over(100.0 + IDLE_S, delivering=False, work=False)
    assert lifetime.rest_time() == lifetime.next_time() == lifetime.heard_until
    assert lifetime.over(lifetime.heard_until, delivering=False, work=False)
