"""The end of a block runs although the task is cancelled again meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from orastream.base import tasks

pytestmark = pytest.mark.unit


async def test_a_cleanup_goes_on_when_its_task_is_cancelled_again() -> None:
    steps: list[str] = []

    async def clean() -> None:
        steps.append("begun")
        await asyncio.sleep(0.01)
        steps.append("done")

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await tasks.finish(clean())

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    while not steps:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["begun"]
    await asyncio.sleep(0.05)
    assert steps == ["begun", "done"]


async def test_a_cleanup_is_waited_for_and_its_error_is_raised() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await tasks.finish(fail())
