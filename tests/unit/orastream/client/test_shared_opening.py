"""One attempt for all callers, one error for all, and no wait for another attempt after a failure."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from orastream.client.connect_pace import PATIENCE_S, PAUSE_S
from orastream.client.shared_opening import SharedOpening
from orastream.contract.errors import NodeUnavailable, SettingsError

pytestmark = pytest.mark.unit


class _Server:
    """What is opened: each attempt takes the next of `answers`, a value or an error, after `delay_s`."""

    def __init__(self, *answers: str | Exception, delay_s: float = 0.0) -> None:
        self.answers, self.delay_s, self.attempts = list(answers), delay_s, 0

    async def open(self) -> str:
        self.attempts += 1
        await asyncio.sleep(self.delay_s)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_callers_share_one_attempt() -> None:
    server = _Server("connection", delay_s=0.05)
    opening = SharedOpening(server.open)
    assert opening.opened is None
    assert await asyncio.gather(*(opening.get() for _ in range(20))) == ["connection"] * 20
    assert await opening.get() == opening.opened == "connection" and server.attempts == 1


async def test_a_caller_that_is_cancelled_leaves_the_attempt_to_the_others() -> None:
    opening = SharedOpening(_Server("connection", delay_s=0.1).open)
    first, second = asyncio.create_task(opening.get()), asyncio.create_task(opening.get())
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == "connection" and first.cancelled()


async def test_after_a_failure_calls_fail_at_once_and_then_it_is_tried_again() -> None:
    server = _Server(NodeUnavailable("refused"), "connection")
    opening = SharedOpening(server.open)
    for _ in range(3):
        with pytest.raises(NodeUnavailable, match="^refused$"):
            async with asyncio.timeout(0.2):
                await opening.get()
    assert server.attempts == 1
    await asyncio.sleep(PAUSE_S)
    assert await opening.get() == "connection"


async def test_a_slow_attempt_after_a_failure_goes_on_while_callers_do_not_wait_for_it() -> None:
    server = _Server(NodeUnavailable("refused"), "connection")
    opening = SharedOpening(server.open)
    with pytest.raises(NodeUnavailable):
        await opening.get()
    await asyncio.sleep(PAUSE_S)
    server.delay_s = PATIENCE_S + 0.3
    began = asyncio.get_running_loop().time()
    for _ in range(2):  # the second one does not wait at all
        with pytest.raises(NodeUnavailable, match="^refused$"):
            await opening.get()
    assert asyncio.get_running_loop().time() - began < PATIENCE_S + 0.2
    await asyncio.sleep(0.5)
    assert await opening.get() == "connection" and server.attempts == 2


async def test_another_error_is_raised_as_it_is_and_does_not_begin_a_pause() -> None:
    server = _Server(SettingsError("NATS_CREDS: no file"), "connection")
    opening = SharedOpening(server.open)
    with pytest.raises(SettingsError, match="no file"):
        await opening.get()
    assert await opening.get() == "connection"


async def test_what_is_opened_has_not_the_context_of_the_call_that_opens_it() -> None:
    request = contextvars.ContextVar("request", default="none")

    async def open_it() -> str:
        return request.get()

    request.set("first")
    assert await SharedOpening(open_it).get() == "none"


async def test_what_has_ended_is_opened_anew() -> None:
    ended: set[str] = set()
    server = _Server("one", "two")
    opening = SharedOpening(server.open, ended.__contains__)
    assert await opening.get() == "one"
    ended.add("one")
    assert opening.opened is None and await opening.get() == "two" == await opening.get()


async def test_close_ends_an_attempt_and_gives_what_is_open() -> None:
    opening = SharedOpening(_Server("connection", delay_s=30).open)
    waiting = asyncio.create_task(opening.get())
    await asyncio.sleep(0.01)
    assert await opening.close() is None
    with pytest.raises(NodeUnavailable, match="closed before it was connected"):
        await waiting
    again = SharedOpening(_Server("one", "two").open)
    assert await again.close() is None
    await again.get()
    assert await again.close() == "one" and again.opened is None and await again.get() == "two"
