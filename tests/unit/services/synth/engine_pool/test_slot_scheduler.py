"""Who is given the next free place: due first, first served; no place is lost, none is given twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.synth.engine_pool.slot_scheduler import SlotScheduler, shares

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("slots", "at_once", "scales", "places"),
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
def test_places_of_each_process(slots: int, at_once: int, scales: bool, places: list[int]) -> None:
    assert shares(slots, at_once, scales) == places


@given(st.integers(1, 256), st.integers(1, 64), st.booleans())
def test_places_in_all(slots: int, at_once: int, scales: bool) -> None:
    each = shares(slots, at_once, scales)
    assert all(1 <= places <= at_once for places in each)
    assert sum(each) == slots if scales else each == [min(slots, at_once)]
    assert not scales or len(each) == -(-slots // at_once), "no process more than it takes"


def test_who_runs_dry_first_comes_first() -> None:
    places: SlotScheduler[str, str] = SlotScheduler()
    for waiter, due_s in [("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 1.0)]:
        places.ask(waiter, due_s)
    assert places.pair() is None, "no engine is there"
    places.open("engine", 1)
    order = []
    while (pair := places.pair()) is not None:
        order.append(pair[0])
        assert places.pair() is None, "it has one place"
        places.release("engine")
    assert order == ["b", "d", "c", "a"]


def test_sentences_spread_over_the_engines() -> None:
    places: SlotScheduler[str, int] = SlotScheduler()
    places.open("one", 2)
    places.open("other", 2)
    for waiter in range(5):
        places.ask(waiter, 0.0)
    assert [places.pair() for _ in range(5)] == [(0, "one"), (1, "other"), (2, "one"), (3, "other"), None]


def test_a_retired_engine_is_forgotten_with_its_last_sentence() -> None:
    places: SlotScheduler[str, int] = SlotScheduler()
    places.open("old", 2)
    places.ask(1, 0.0)
    places.ask(2, 0.0)
    assert places.pair() and places.pair()
    assert not places.retire("old")
    assert not places.release("old")
    assert places.release("old")
    assert not places.retire("old"), "it is not there any more"
    places.open("idle", 1)
    assert places.retire("idle")


class PlacesMachine(RuleBasedStateMachine):
    """Engines come and go, listeners ask, leave and finish, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.places: SlotScheduler[int, int] = SlotScheduler()
        self.names = itertools.count()
        self.size: dict[int, int] = {}  # engine: places
        self.retired: set[int] = set()
        self.held: list[tuple[int, int]] = []
        self.waiting: dict[int, float] = {}

    def pair(self) -> None:
        while (pair := self.places.pair()) is not None:
            waiter, engine = pair
            best = min(self.waiting.values())
            assert self.waiting[waiter] == best
            assert waiter == next(w for w, due in self.waiting.items() if due == best), "ties in the order of asking"
            assert engine in self.size and engine not in self.retired
            del self.waiting[waiter]
            self.held.append(pair)

    def taken(self, engine: int) -> int:
        return sum(it == engine for _, it in self.held)

    @rule(places=st.integers(1, 3))
    def opens(self, places: int) -> None:
        engine = next(self.names)
        self.size[engine] = places
        self.places.open(engine, places)
        self.pair()

    @rule(due_s=st.integers(0, 3).map(float))
    def asks(self, due_s: float) -> None:
        waiter = next(self.names)
        self.waiting[waiter] = due_s
        self.places.ask(waiter, due_s)
        self.pair()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(list(self.waiting)))
        del self.waiting[waiter]
        assert self.places.leave(waiter)
        assert not self.places.leave(waiter)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        waiter, engine = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        assert not self.places.leave(waiter), "it had its place"
        empty = engine in self.retired and not self.taken(engine)
        assert self.places.release(engine) == empty
        if empty:
            del self.size[engine]
        self.pair()

    @precondition(lambda self: self.size.keys() - self.retired)
    @rule(data=st.data())
    def retires(self, data: st.DataObject) -> None:
        engine = data.draw(st.sampled_from(sorted(self.size.keys() - self.retired)))
        empty = not self.taken(engine)
        assert self.places.retire(engine) == empty
        if empty:
            del self.size[engine]
        else:
            self.retired.add(engine)

    @invariant()
    def no_place_is_lost_or_given_twice(self) -> None:
        for engine, size in self.size.items():
            assert self.taken(engine) <= size
        free = sum(size - self.taken(engine) for engine, size in self.size.items() if engine not in self.retired)
        assert not (free and self.waiting), "somebody waits although a place is free"


TestPlacesMachine = PlacesMachine.TestCase
TestPlacesMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
