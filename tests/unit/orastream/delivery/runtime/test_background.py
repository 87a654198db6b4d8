"""Background tasks of a session: their outcomes reach the loop in order, and their errors end the session."""

from __future__ import annotations

import asyncio

import pytest

from orastream.delivery.rules.session_outcomes import CancelOutcome
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.outcomes import Outcome

pytestmark = pytest.mark.unit


def dropped(sequence: int) -> CancelOutcome:
    return CancelOutcome(sequence, dropped=True)


async def after(delay_s: float, outcome: Outcome | None) -> Outcome | None:
    await asyncio.sleep(delay_s)
    return outcome


async def test_outcomes_come_in_the_order_in_which_the_tasks_end() -> None:
    woken: list[int] = []
    async with asyncio.TaskGroup() as group:
        background = Background(group, lambda: woken.append(1))
        background.start(after(0.02, dropped(2)))
        background.start(after(0.0, dropped(1)))
        background.start(after(0.0, None))
        await background.finish(5.0, float("inf"))
    assert list(background.take()) == [dropped(1), dropped(2)]
    assert list(background.take()) == []
    assert len(woken) == 2, "a task without an outcome does not wake the loop"


async def test_an_outcome_without_a_task_wakes_the_loop() -> None:
    woken: list[int] = []
    async with asyncio.TaskGroup() as group:
        background = Background(group, lambda: woken.append(1))
        background.put(dropped(1))
    assert list(background.take()) == [dropped(1)] and woken == [1]


async def test_an_error_in_a_task_ends_the_group() -> None:
    async def fails() -> None:
        raise RuntimeError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            Background(group, lambda: None).start(fails())
            await asyncio.sleep(60)
    assert [str(error) for error in caught.value.exceptions] == ["broken"]


async def test_end_cancels_the_running_tasks_and_finish_waits_no_longer_than_asked() -> None:
    async with asyncio.TaskGroup() as group:
        background = Background(group, lambda: None)
        task = background.start(after(60, dropped(1)))
        async with asyncio.timeout(5):
            await background.finish(0.01, float("inf"))
            await background.finish(60, asyncio.get_running_loop().time() + 0.01)
            await background.finish(60, 0.0)
            assert not task.done()
            await background.end()
    assert task.cancelled() and list(background.take()) == []
