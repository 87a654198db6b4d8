"""Units per minute and caller, on an injected clock."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.caller_limits import seconds
from services.gateway.access.rates import MinuteRate, wait_of
from tests.support.limits_clock import ManualClock, manual_clock

pytestmark = pytest.mark.unit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The clock of the library's storage; at the begin of a window."""
    return manual_clock(monkeypatch)


async def test_units_fit_until_the_limit_and_again_after_the_wait(clock: ManualClock) -> None:
    rate = MinuteRate(10)
    for _ in range(10):
        assert await rate.wait_s("a") is None
        await rate.take("a")
    wait_s = await rate.wait_s("a")
    assert wait_s is not None and 60 <= wait_s < 61, (
        "the first of them leaves the last 60 s right after the next window begins"
    )
    assert await rate.wait_s("b") is None, "another caller has counts of its own"
    clock.now += seconds(wait_s)
    assert await rate.wait_s("a") is None


async def test_units_cost_as_many_as_they_are_and_nothing_when_there_is_no_room(clock: ManualClock) -> None:
    rate = MinuteRate(100)
    await rate.take("a", 70)
    assert await rate.wait_s("a", 30) is None
    assert await rate.wait_s("a", 31) is not None
    await rate.take("a", 31)
    assert await rate.wait_s("a", 30) is None, "units without room were counted"


async def test_window_slides(clock: ManualClock) -> None:
    rate = MinuteRate(100)
    clock.now += 59
    await rate.take("a", 100)
    clock.now += 2
    assert await rate.wait_s("a", 3) is not None, "a new minute forgot the last two seconds"
    clock.now += 30
    assert await rate.wait_s("a", 45) is None


async def test_counts_are_deleted_after_two_windows(clock: ManualClock) -> None:
    rate = MinuteRate(10)
    for number in range(1000):
        await rate.take(f"10.0.{number // 250}.{number % 250}")
    assert rate.counts == 1000
    clock.now += 121
    await rate.take("a")
    await asyncio.sleep(0.05)  # the library deletes them in a task
    assert rate.counts == 1


async def test_callers_beyond_the_bound_share_one_count(clock: ManualClock) -> None:
    rate = MinuteRate(2, max_counts=3)
    for number in range(100):
        await rate.take(f"caller {number}")
    assert rate.counts == 4
    assert await rate.wait_s("caller 0") is None, "a counted caller keeps its own count"
    assert await rate.wait_s("another") is not None


uses = st.integers(0, 400)


@given(st.integers(1, 100), st.integers(1, 100), uses, st.floats(0, 60, exclude_min=True), uses)
def test_wait_is_as_long_as_needed_and_not_much_longer(
    most: int, units: int, previous: int, left_s: float, current: int
) -> None:
    units, previous, current = min(units, most), min(previous, most), min(current, most)

    def fits(after_s: float) -> bool:
        """The rule of `limits`: what was used before counts by the share of its window that is in the last 60 s."""
        if after_s < left_s:
            before, share_s, now = previous, left_s - after_s, current
        elif after_s < left_s + 60:
            before, share_s, now = current, left_s + 60 - after_s, 0
        else:
            return True
        return int(before * share_s / 60 + now) + units <= most

    wait_s = wait_of(most, units, previous, left_s, current)
    if wait_s is None:
        assert fits(0)
        return
    assert 0 <= wait_s < 120
    assert fits(seconds(wait_s)), "Retry-After is too short"
    assert not fits(max(0.0, wait_s - 0.001)), "the wait is too long"


steps = st.lists(st.tuples(st.integers(1, 12), st.floats(0, 50)), max_size=30)


@given(st.integers(1, 12), steps)
def test_library_lets_units_through_exactly_when_the_wait_says_so(most: int, uses: list[tuple[int, float]]) -> None:
    async def run(clock: ManualClock) -> None:
        rate = MinuteRate(most)
        for wanted, pause_s in uses:
            units = min(wanted, most)
            wait_s = await rate.wait_s("a", units)
            before = await rate._window("a")
            await rate.take("a", units)
            assert ((await rate._window("a"))[2] - before[2]) == (units if wait_s is None else 0)
            if wait_s is not None:
                clock.now += seconds(wait_s)
                assert await rate.wait_s("a", units) is None, "Retry-After was too short"
                await rate.take("a", units)
            clock.now += pause_s

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(run(manual_clock(patch)))
