"""The limit for received frames: its rate, and that no byte is lost or comes out of order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.websocket.inflow import (
    COST_PER_S,
    MAX_SAVED,
    SLICE_BYTES,
    TURN_COST,
    InflowBudget,
    PacedInput,
    cost_of,
)

pytestmark = pytest.mark.unit

WORST_SLICE = cost_of(SLICE_BYTES // 2, SLICE_BYTES)
"""A slice full of frames without payload."""


@given(steps=st.lists(st.tuples(st.floats(0, 3), st.floats(0, WORST_SLICE)), max_size=200))
def test_no_interval_costs_more_than_the_rate_and_what_was_saved(steps: list[tuple[float, float]]) -> None:
    """A caller that works whenever it may; `steps` are the pauses between its attempts, and what each costs."""
    now, budget, work = 100.0, InflowBudget(100.0), []
    for pause_s, cost in steps:
        now += pause_s
        wait_s = budget.wait_s(now)
        assert 0 <= wait_s <= WORST_SLICE / COST_PER_S
        if not wait_s:
            budget.spend(cost, now)
            work.append((now, cost))
    for first, (begin, _) in enumerate(work):
        total = 0.0
        for at, cost in work[first:]:
            total += cost
            assert total <= MAX_SAVED + (at - begin) * COST_PER_S + WORST_SLICE + 1e-6


@given(cost=st.floats(0, 10 * MAX_SAVED))
def test_after_the_wait_more_may_be_handled(cost: float) -> None:
    budget = InflowBudget(5.0)
    budget.spend(cost, 5.0)
    assert budget.wait_s(5.0 + budget.wait_s(5.0) + 1e-6) == 0


class Transport:
    """Takes slices as a connection does: each byte is a frame. It ends at the byte `z`."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.slices: list[int] = []
        self.reading = True
        self.input = PacedInput(self._take, lambda on: self._resume() if on else self._pause())

    def _take(self, data: bytes) -> int | None:
        self.taken += data
        self.slices.append(len(data))
        return None if b"z" in data else len(data)

    def _pause(self) -> None:
        assert self.reading
        self.reading = False

    def _resume(self) -> None:
        assert not self.reading
        self.reading = True


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6), early=st.booleans())
async def test_bytes_are_taken_once_and_in_order(sizes: list[int], early: bool) -> None:
    """Also bytes that come after the pause (`early`)."""
    transport = Transport()
    sent = bytes(n % 120 for n in range(sum(sizes)))
    at = 0
    for size in sizes:
        while not early and not transport.reading:
            await asyncio.sleep(0)
        transport.input.feed(sent[at : at + size])
        at += size
    async with asyncio.timeout(30):
        while len(transport.taken) < len(sent):
            await asyncio.sleep(0)
    assert transport.taken == sent
    assert max(transport.slices) <= SLICE_BYTES
    await asyncio.sleep(0)
    assert transport.reading


async def test_other_tasks_run_while_a_large_read_is_handled() -> None:
    transport = Transport()
    transport.input.feed(b"." * 2_000)
    assert not transport.reading and len(transport.taken) <= TURN_COST + SLICE_BYTES
    async with asyncio.timeout(10):
        while not transport.reading:
            await asyncio.sleep(0)
    assert len(transport.taken) == 2_000


async def test_a_long_flood_is_held_to_the_rate() -> None:
    transport, loop = Transport(), asyncio.get_running_loop()
    began = loop.time()
    transport.input.feed(b"." * 100_000)
    await asyncio.sleep(0.5)
    allowed = MAX_SAVED + COST_PER_S * (loop.time() - began) + 2 * SLICE_BYTES
    assert MAX_SAVED < len(transport.taken) < allowed
    assert not transport.reading
    transport.input.close()


async def test_nothing_is_taken_after_the_end_of_the_connection() -> None:
    transport = Transport()
    transport.input.feed(b"." * 1_000 + b"z" + b"." * 1_000)
    await asyncio.sleep(0.05)
    assert transport.taken.count(b"z") == 1 and len(transport.taken) <= 1_000 + SLICE_BYTES
    transport.input.feed(b"")
    transport = Transport()
    transport.input.feed(b"." * 2_000)
    taken = len(transport.taken)
    transport.input.close()
    transport.input.close()
    await asyncio.sleep(0.05)
    assert len(transport.taken) == taken
