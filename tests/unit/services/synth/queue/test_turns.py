"""A request gives its slot up between two sentences, and gets it back before its listener has heard all."""

from __future__ import annotations

import asyncio

import pytest

from services.synth.queue.slots import Slots
from services.synth.queue.turns import RESUME_SHARE, SlotTurn, SlotTurns

pytestmark = pytest.mark.unit

LEAD_S = 0.6
MUCH_S = 1000.0
"""A lead that does not run out in a test."""


class FakeQueue:
    """Requests that wait to begin. As in synth, they and the suspended ones get each slot that becomes free."""

    def __init__(self, slots: int = 1, max_suspended: int = 8) -> None:
        self.waiting = 0
        self.begun: list[int] = []
        self.slots = Slots(slots, 0, max_suspended)
        self.turns = SlotTurns(self.slots, LEAD_S, lambda _: self.waiting > 0, self.on_free)

    def on_free(self) -> None:
        while self.slots.free and self.waiting:
            self.waiting -= 1
            self.begun.append(100 + len(self.begun))
            self.slots.begin(self.begun[-1])
        while self.turns.give():
            pass

    def end(self, request: int) -> None:
        self.slots.end(request)
        self.on_free()


def turn_of(queue: FakeQueue, request: int, *, session: str = "", sign_every_s: float = 60.0) -> SlotTurn:
    """A request in progress, of the named session or of one of its own."""
    queue.slots.begin(request)
    turn = SlotTurn(queue.turns, session or f"session {request}", request, sign_every_s)
    turn.hears_live()
    return turn


async def nothing() -> None:
    """A `waiting` message that nobody reads."""


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def returns_at_once(turn: SlotTurn, dry_at: float) -> bool:
    task = asyncio.create_task(turn.before_sentence(dry_at, nothing))
    await asyncio.sleep(0.05)
    if task.done():
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def test_slot_is_kept_while_nobody_waits_or_the_listener_has_little_or_hears_nothing_before_the_end() -> None:
    queue = FakeQueue()
    turn = turn_of(queue, 1)
    assert await returns_at_once(turn, after(MUCH_S)), "nobody waits"
    queue.waiting = 1
    assert await returns_at_once(turn, after(LEAD_S * 0.9)), "the listener has little"
    turn.ended()
    assert await returns_at_once(turn, after(MUCH_S)), "the listener hears nothing before the end"
    assert queue.begun == []
    turn.hears_live()
    assert not await returns_at_once(turn, after(MUCH_S))
    assert queue.begun == [100], "the request that waited did not get the slot"
    assert queue.slots.suspended == set(), "a cancelled request stayed suspended"


async def test_request_goes_on_when_the_slot_is_free_again() -> None:
    queue = FakeQueue()
    turn = turn_of(queue, 1)
    queue.waiting = 2
    speaking = asyncio.create_task(turn.before_sentence(after(MUCH_S), nothing))
    await asyncio.sleep(0.02)
    queue.end(100)
    await asyncio.sleep(0.02)
    assert not speaking.done() and queue.begun == [100, 101], "it went on before requests that have not begun"
    queue.end(101)
    assert queue.slots.taken == 1, "the slot is not its own before it wakes"
    await asyncio.wait_for(speaking, 1)


async def test_request_goes_on_before_its_listener_has_heard_all_even_if_no_slot_is_free() -> None:
    queue = FakeQueue()
    turn = turn_of(queue, 1)
    queue.waiting = 1
    lead_s = LEAD_S * 1.1
    began = asyncio.get_running_loop().time()
    await turn.before_sentence(began + lead_s, nothing)
    waited_s = asyncio.get_running_loop().time() - began
    assert queue.begun == [100]
    assert waited_s >= lead_s - LEAD_S * RESUME_SHARE - 0.01
    assert (queue.slots.taken, queue.slots.free) == (2, False)


async def test_suspended_request_that_runs_dry_first_goes_on_first() -> None:
    queue = FakeQueue(slots=1)
    order: list[int] = []

    async def speak(request: int, lead_s: float) -> None:
        await turns[request].before_sentence(after(lead_s), nothing)
        order.append(request)
        queue.end(request)

    turns, tasks = {}, []
    for request, lead_s in ((1, 500.0), (2, 300.0), (3, 400.0)):
        turns[request] = turn_of(queue, request)
        queue.waiting += 1  # a request that takes the slot and keeps it
        tasks.append(asyncio.create_task(speak(request, lead_s)))
        await asyncio.sleep(0.02)
        assert queue.begun == [100]
        queue.waiting = 0
    assert queue.slots.suspended == {1, 2, 3}
    queue.end(100)
    await asyncio.wait_for(asyncio.gather(*tasks), 2)
    assert order == [2, 3, 1]


async def test_waiting_messages_are_sent_while_it_is_suspended() -> None:
    queue = FakeQueue()
    turn = turn_of(queue, 1, sign_every_s=0.05)
    signs = 0

    async def sign() -> None:
        nonlocal signs
        signs += 1

    queue.waiting = 1
    speaking = asyncio.create_task(turn.before_sentence(after(MUCH_S), sign))
    await asyncio.sleep(0.5)
    assert 3 <= signs <= 10
    queue.end(100)
    await asyncio.wait_for(speaking, 1)


async def test_request_keeps_its_slot_when_too_many_are_suspended() -> None:
    queue = FakeQueue(max_suspended=0)
    turn = turn_of(queue, 1)
    queue.waiting = 1
    assert await returns_at_once(turn, after(MUCH_S))
    assert queue.begun == []


async def test_later_request_of_a_session_has_no_listener_before_the_earlier_one_has_ended() -> None:
    """It can wait without end, however little of it was made, and does not go on without a free slot."""
    queue = FakeQueue()
    first, second = (turn_of(queue, request, session="s") for request in (1, 2))
    assert queue.turns.in_progress("s")
    queue.waiting = 1
    speaking = asyncio.create_task(second.before_sentence(after(0.01), nothing))
    await asyncio.sleep(LEAD_S)
    assert not speaking.done() and queue.slots.suspended == {2}
    assert queue.begun == [], "both hold a slot, and there is one"
    queue.slots.end(1)
    first.ended()
    await asyncio.wait_for(speaking, 1)
    assert queue.turns.in_progress("s")
    second.ended()
    assert not queue.turns.in_progress("s")


async def test_no_request_is_suspended_longer_than_its_audio_is_kept() -> None:
    queue = FakeQueue()
    turn_of(queue, 1, session="s")
    second = turn_of(queue, 2, session="s")
    queue.waiting = 1
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(second.before_sentence(after(0.01), nothing, until=began + 0.2), 5)
    assert asyncio.get_running_loop().time() - began >= 0.19
    await asyncio.wait_for(second.before_sentence(after(0.01), nothing, until=began + 0.2), 0.1)


async def test_a_request_knows_before_a_sentence_whether_it_would_give_its_slot_up() -> None:
    queue = FakeQueue(slots=2)
    first, second = turn_of(queue, 1, session="s"), turn_of(queue, 2, session="s")
    assert first.keeps_slot(after(MUCH_S)) and second.keeps_slot(after(0.0)), "nobody needs a slot"
    queue.waiting = 1
    assert first.keeps_slot(after(LEAD_S / 2)) and not first.keeps_slot(after(MUCH_S))
    assert not second.keeps_slot(after(0.0)), "the listener hears the first one"
    second.ended()
    assert second.keeps_slot(after(MUCH_S)), "nobody hears it while it is made"
