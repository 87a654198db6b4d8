"""The event of the hot path: what has rung before, during and after a wait, and a waiter that is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from orastream.base.wake_event import WakeEvent

pytestmark = pytest.mark.unit

SOON_S = 5.0


async def test_what_rang_before_the_wait_is_not_waited_for_until_it_is_hushed() -> None:
    event = WakeEvent(asyncio.get_running_loop())
    event.set()
    async with asyncio.timeout(SOON_S):
        await event.wait()
        await event.wait()
    event.clear()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_waiter_goes_on_however_often_it_rings() -> None:
    event = WakeEvent(asyncio.get_running_loop())
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.set()
    event.set()
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_a_ring_after_a_waiter_was_cancelled_reaches_the_next_one() -> None:
    event = WakeEvent(asyncio.get_running_loop())
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    event.set()  # to a waiter that is cancelled already but has not run yet
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    async with asyncio.timeout(SOON_S):
        await event.wait()


async def test_a_time_ends_the_wait_and_a_later_time_leaves_the_timer() -> None:
    loop = asyncio.get_running_loop()
    event = WakeEvent(loop)
    now = loop.time()
    event.set()
    async with asyncio.timeout(SOON_S):
        await event.wait(now + 0.02)
        event.clear()
        await event.wait(now + 3600)
    assert loop.time() >= now + 0.02 - 0.005, "the clock's resolution"
    event.clear()
    event.close()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done(), "a closed timer has fired"
    waiting.cancel()
    await asyncio.wait([waiting])
