"""The calls of a process that ends: running ones end at the given time, later ones at once."""

from __future__ import annotations

import asyncio

import pytest

from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.running_calls import RunningCalls

pytestmark = pytest.mark.unit


async def hang(calls: RunningCalls) -> None:
    async with calls.one("a.subject"):
        await asyncio.sleep(60)


async def test_running_and_later_calls_end_with_the_process() -> None:
    calls, loop = RunningCalls(), asyncio.get_running_loop()
    running = [asyncio.create_task(hang(calls)) for _ in range(3)]
    await asyncio.sleep(0)
    calls.end(loop.time() + 0.05)
    async with asyncio.timeout(10):
        for task in (*running, asyncio.create_task(hang(calls))):
            with pytest.raises(NodeUnavailable, match=r"a\.subject: no answer before this process ends"):
                await task
        await asyncio.sleep(0.05)
        with pytest.raises(NodeUnavailable):
            await hang(calls)


async def test_calls_of_a_process_that_goes_on_are_not_limited() -> None:
    calls = RunningCalls()
    async with calls.one("a.subject"):
        await asyncio.sleep(0)
    calls.end(asyncio.get_running_loop().time() - 1)


async def test_a_timeout_around_a_call_stays_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await hang(RunningCalls())
