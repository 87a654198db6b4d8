"""WakeEvent: set before, during and after a wait, with a cancelled waiter, and with a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from orastream.base.wake_event import WakeEvent

pytestmark = pytest.mark.unit

SOON_S = 5.0


async def test_wait_returns_at_once_while_the_event_is_set() -> None:
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


async def test_wait_returns_when_the_event_is_set_twice() -> None:
    event = WakeEvent(asyncio.get_running_loop())
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.set()
    event.set()
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_next_wait_returns_when_the_event_is_set_after_a_cancelled_wait() -> None:
    event = WakeEvent(asyncio.get_running_loop())
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    event.set()  # the waiter is cancelled but has not run yet
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    async with asyncio.timeout(SOON_S):
        await event.wait()


async def test_wait_returns_at_its_time_and_keeps_the_timer_for_a_later_time() -> None:
    loop = asyncio.get_running_loop()
    event = WakeEvent(loop)
    now = loop.time()
    event.set()
    async with asyncio.timeout(SOON_S):
        await event.wait(now + 0.02)
        event.clear()
        await event.wait(now + 3600)
    assert loop.time() >= now + 0.02 - 0.005, "it returned before its time by more than the clock's resolution"
    event.clear()
    event.close()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the timer fired after close"
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_wait_does_not_end_before_its_time(run: Callable[[Coroutine[Any, Any, list[float]]], list[float]]) -> None:
    """uvloop counts in whole milliseconds, and rounds to the nearest one."""

    async def early_s() -> list[float]:
        loop = asyncio.get_running_loop()
        event, found = WakeEvent(loop), []
        for tenths in range(40):
            at = loop.time() + 0.003 + tenths / 10_000
            event.clear()
            async with asyncio.timeout(SOON_S):
                await event.wait(at)
            found.append(at - loop.time())
        return found

    assert max(run(early_s())) < 1e-6, "more than what the sum of two floats is off"


def test_a_time_that_has_come_is_no_error_with_the_loop_of_the_services() -> None:
    """For a call that is due within half a millisecond, uvloop returns a handle without `when`."""

    async def wait_twice() -> None:
        loop = asyncio.get_running_loop()
        event = WakeEvent(loop)
        event.set()
        async with asyncio.timeout(SOON_S):
            await event.wait(loop.time())  # returns at once, before its timer has fired
            await event.wait(loop.time() + 0.01)
            event.clear()
            await event.wait(loop.time())
        event.close()

    uvloop.run(wait_twice())
