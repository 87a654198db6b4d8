"""The next free slot goes to the earliest due time; no slot is lost or given twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.synth.engine_pool.slot_scheduler import SlotScheduler, shares

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("slots", "at_once", "scales", "expected"),
    [
        (1, 1, True, [1]),
        (4, 1, True, [1, 1, 1, 1]),
        (1, 8, True, [1]),
        (5, 4, True, [3, 2]),
        (8, 4, True, [4, 4]),
        (9, 4, True, [3, 3, 3]),
        (1, 3, False, [1]),
        (8, 3, False, [3]),
    ],
)
def test_shares_returns_the_slots_of_each_process(slots: int, at_once: int, scales: bool, expected: list[int]) -> None:
    assert shares(slots, at_once, scales) == expected


@given(st.integers(1, 256), st.integers(1, 64), st.booleans())
def test_shares_add_up_to_the_slots(slots: int, at_once: int, scales: bool) -> None:
    each = shares(slots, at_once, scales)
    assert all(1 <= count <= at_once for count in each)
    assert sum(each) == slots if scales else each == [min(slots, at_once)]
    assert not scales or len(each) == -(-slots // at_once), "there are more processes than the slots need"


def test_scheduler_gives_a_slot_to_the_sentence_that_is_due_first() -> None:
    scheduler: SlotScheduler[str, str] = SlotScheduler()
    for waiter, due_s in [("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 1.0)]:
        scheduler.ask(waiter, due_s)
    assert scheduler.pair() is None, "a slot was given without an engine"
    scheduler.open("engine", 1)
    order = []
    while (pair := scheduler.pair()) is not None:
        order.append(pair[0])
        assert scheduler.pair() is None, "an engine with one slot gave two"
        scheduler.release("engine")
    assert order == ["b", "d", "c", "a"]


def test_scheduler_spreads_sentences_over_the_engines() -> None:
    scheduler: SlotScheduler[str, int] = SlotScheduler()
    scheduler.open("one", 2)
    scheduler.open("other", 2)
    for waiter in range(5):
        scheduler.ask(waiter, 0.0)
    assert [scheduler.pair() for _ in range(5)] == [(0, "one"), (1, "other"), (2, "one"), (3, "other"), None]


def test_scheduler_forgets_a_retired_engine_after_its_last_sentence() -> None:
    scheduler: SlotScheduler[str, int] = SlotScheduler()
    scheduler.open("old", 2)
    scheduler.ask(1, 0.0)
    scheduler.ask(2, 0.0)
    assert scheduler.pair() and scheduler.pair()
    assert not scheduler.retire("old")
    assert not scheduler.release("old")
    assert scheduler.release("old")
    assert not scheduler.retire("old"), "the engine is still known"
    scheduler.open("idle", 1)
    assert scheduler.retire("idle")


def test_canary_gets_a_slot_that_nobody_waits_for() -> None:
    scheduler: SlotScheduler[str, str] = SlotScheduler()
    scheduler.open("engine", 1)
    scheduler.open("other", 1)
    scheduler.ask_canary("canary", "engine")
    scheduler.ask("a", 0.0)
    scheduler.ask("b", 1.0)
    assert [scheduler.pair() for _ in range(3)] == [("a", "engine"), ("b", "other"), None]
    scheduler.release("other")
    assert scheduler.pair() is None, "the canary got a slot of another engine"
    scheduler.release("engine")
    assert scheduler.waiting == 0, "the canary counts as a sentence"
    assert scheduler.pair() == ("canary", "engine")
    assert scheduler.pair() is None


def test_canary_in_a_hurry_gets_the_next_slot_of_its_engine() -> None:
    scheduler: SlotScheduler[str, str] = SlotScheduler()
    scheduler.hurry("engine")  # no canary waits
    scheduler.open("engine", 1)
    scheduler.ask("a", 0.0)
    scheduler.ask("b", 1.0)
    assert scheduler.pair() == ("a", "engine")
    scheduler.ask_canary("canary", "engine")
    scheduler.hurry("engine")
    assert scheduler.pair() is None
    scheduler.release("engine")
    assert scheduler.pair() == ("canary", "engine")
    scheduler.release("engine")
    scheduler.ask_canary("next", "engine")
    assert [scheduler.pair(), scheduler.pair()] == [("b", "engine"), None], "an earlier hurry counts for a new canary"


def test_canary_of_a_retired_engine_gets_no_slot() -> None:
    scheduler: SlotScheduler[str, str] = SlotScheduler()
    scheduler.open("engine", 1)
    scheduler.retire("engine")
    scheduler.ask_canary("canary", "engine")
    scheduler.hurry("engine")
    assert scheduler.pair() is None
    assert scheduler.clear() == ["canary"] and scheduler.clear() == []


class SlotsMachine(RuleBasedStateMachine):
    """Engines open and retire, waiters and canaries ask, leave and finish, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler: SlotScheduler[int, int] = SlotScheduler()
        self.names = itertools.count()
        self.size: dict[int, int] = {}  # engine: slots
        self.retired: set[int] = set()
        self.held: list[tuple[int, int]] = []
        self.waiting: dict[int, float] = {}
        self.canaries: dict[int, int] = {}  # waiter: engine
        self.hurries: set[int] = set()

    def pair(self) -> None:
        while (pair := self.scheduler.pair()) is not None:
            waiter, engine = pair
            assert engine in self.size and engine not in self.retired
            if waiter in self.canaries:
                assert self.canaries.pop(waiter) == engine, "a canary got a slot of another engine"
                assert waiter in self.hurries or not self.waiting, "a canary got a slot that a sentence waits for"
                self.held.append(pair)
                continue
            assert not any(self.free(self.canaries[canary]) for canary in self.hurries & self.canaries.keys()), (
                "a sentence got a slot before a canary in a hurry"
            )
            best = min(self.waiting.values())
            assert self.waiting[waiter] == best
            assert waiter == next(w for w, due in self.waiting.items() if due == best), (
                "sentences that are due at the same time are not in the order of their requests"
            )
            del self.waiting[waiter]
            self.held.append(pair)

    def free(self, engine: int) -> bool:
        return engine in self.size and engine not in self.retired and self.taken(engine) < self.size[engine]

    def taken(self, engine: int) -> int:
        return sum(it == engine for _, it in self.held)

    @rule(slots=st.integers(1, 3))
    def opens(self, slots: int) -> None:
        engine = next(self.names)
        self.size[engine] = slots
        self.scheduler.open(engine, slots)
        self.pair()

    @rule(due_s=st.integers(0, 3).map(float))
    def asks(self, due_s: float) -> None:
        waiter = next(self.names)
        self.waiting[waiter] = due_s
        self.scheduler.ask(waiter, due_s)
        self.pair()

    @precondition(lambda self: self.size.keys() - self.canaries.values())
    @rule(data=st.data(), hurries=st.booleans())
    def canary_asks(self, data: st.DataObject, hurries: bool) -> None:
        engine = data.draw(st.sampled_from(sorted(self.size.keys() - self.canaries.values())))
        waiter = next(self.names)
        self.canaries[waiter] = engine
        self.scheduler.ask_canary(waiter, engine)
        if hurries:
            self.hurries.add(waiter)
            self.scheduler.hurry(engine)
        self.pair()

    @precondition(lambda self: self.canaries)
    @rule(data=st.data())
    def canary_leaves(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(sorted(self.canaries)))
        del self.canaries[waiter]
        assert self.scheduler.leave(waiter)
        assert not self.scheduler.leave(waiter)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(list(self.waiting)))
        del self.waiting[waiter]
        assert self.scheduler.leave(waiter)
        assert not self.scheduler.leave(waiter)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        waiter, engine = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        assert not self.scheduler.leave(waiter), "a sentence got a second slot"
        empty = engine in self.retired and not self.taken(engine)
        assert self.scheduler.release(engine) == empty
        if empty:
            del self.size[engine]
        self.pair()

    @precondition(lambda self: self.size.keys() - self.retired)
    @rule(data=st.data())
    def retires(self, data: st.DataObject) -> None:
        engine = data.draw(st.sampled_from(sorted(self.size.keys() - self.retired)))
        empty = not self.taken(engine)
        assert self.scheduler.retire(engine) == empty
        if empty:
            del self.size[engine]
        else:
            self.retired.add(engine)

    @invariant()
    def no_slot_is_lost_or_assigned_twice(self) -> None:
        for engine, size in self.size.items():
            assert self.taken(engine) <= size
        free = sum(size - self.taken(engine) for engine, size in self.size.items() if engine not in self.retired)
        assert not (free and self.waiting), "a sentence waits although a slot is free"
        assert not any(map(self.free, self.canaries.values())), "a canary waits although a slot of its engine is free"
        assert self.scheduler.waiting == len(self.waiting)


TestSlotsMachine = SlotsMachine.TestCase
TestSlotsMachine.settings = settings(max_examples=150, stateful_step_count=40)
