"""The event of the hot path: what has rung before, during and after a wait, and a waiter that is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from orastream.alarm import Alarm

pytestmark = pytest.mark.unit

SOON_S = 5.0


async def test_what_rang_before_the_wait_is_not_waited_for_until_it_is_hushed() -> None:
    alarm = Alarm(asyncio.get_running_loop())
    alarm.ring()
    async with asyncio.timeout(SOON_S):
        await alarm.wait()
        await alarm.wait()
    alarm.hush()
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_waiter_goes_on_however_often_it_rings() -> None:
    alarm = Alarm(asyncio.get_running_loop())
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0)
    alarm.ring()
    alarm.ring()
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_a_ring_after_a_waiter_was_cancelled_reaches_the_next_one() -> None:
    alarm = Alarm(asyncio.get_running_loop())
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    alarm.ring()  # to a waiter that is cancelled already but has not run yet
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    async with asyncio.timeout(SOON_S):
        await alarm.wait()


async def test_a_time_ends_the_wait_and_a_later_time_leaves_the_timer() -> None:
    loop = asyncio.get_running_loop()
    alarm = Alarm(loop)
    now = loop.time()
    alarm.ring()
    async with asyncio.timeout(SOON_S):
        await alarm.wait(now + 0.02)
        alarm.hush()
        await alarm.wait(now + 3600)
    assert loop.time() >= now + 0.02 - 0.005, "the clock's resolution"
    alarm.hush()
    alarm.close()
    waiting = asyncio.create_task(alarm.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done(), "a closed timer has fired"
    waiting.cancel()
    await asyncio.wait([waiting])
