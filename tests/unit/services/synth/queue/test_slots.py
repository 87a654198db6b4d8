"""Which requests of a synth may speak at the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.synth.queue.slots import Slots

pytestmark = pytest.mark.unit


def test_request_takes_no_slot_while_it_waits_for_text() -> None:
    slots = Slots(2, open_texts=10, max_suspended=0)
    slots.begin(1, streamed=True)
    assert (slots.taken, slots.free) == (1, True)
    slots.begin(2)
    assert (slots.taken, slots.free) == (2, False)
    slots.wait(1, True)
    assert (slots.taken, slots.free, slots.waiting) == (1, True, {1})
    slots.begin(3)
    slots.wait(1, False)  # it continues at once: one more than `slots`, so no other one may begin
    assert (slots.taken, slots.free) == (3, False)
    slots.end(1)
    assert not slots.free
    slots.end(2)
    assert slots.free and slots.waiting == set()


@given(st.integers(1, 4), st.integers(0, 8))
def test_streamed_texts_in_progress_are_limited_and_never_keep_a_whole_text_from_beginning(
    count: int, open_texts: int
) -> None:
    slots = Slots(count, open_texts, max_suspended=0)
    begun = 0
    while slots.free and slots.room_for_text:
        begun += 1
        slots.begin(begun, streamed=True)
        slots.wait(begun, True)
    assert begun == count + open_texts
    assert slots.free, "texts that wait for their writers hold slots"
    slots.end(1)
    assert slots.room_for_text


def test_slot_of_a_suspended_request_is_free_and_the_first_one_to_run_dry_comes_first() -> None:
    slots = Slots(1, open_texts=0, max_suspended=2)
    for request, dry_at in ((1, 30.0), (2, 20.0)):
        slots.begin(request)
        assert not slots.free
        assert slots.suspend(request, dry_at)
        assert slots.free
    assert slots.first_dry() == (20.0, 2)
    slots.resume(2)
    assert not slots.free
    assert slots.first_dry() == (30.0, 1)
    slots.begin(3)
    slots.suspend(2, 40.0)
    assert not slots.suspend(3, 50.0), "more than max_suspended"
    slots.end(1)
    assert slots.suspend(3, 50.0)


class SlotsMachine(RuleBasedStateMachine):
    """Any order of what a synth tells its slots, against a plain model: the state of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(2, open_texts=1, max_suspended=2)
        self.state: dict[int, str] = {}
        self.streamed: set[int] = set()
        self.dry: dict[int, float] = {}
        self.next = 0

    @precondition(lambda self: self.slots.free)
    @rule(streamed=st.booleans())
    def begin(self, streamed: bool) -> None:
        if streamed and not self.slots.room_for_text:
            return
        self.next += 1
        self.slots.begin(self.next, streamed=streamed)
        self.state[self.next] = "speaks"
        if streamed:
            self.streamed.add(self.next)

    def _one(self, data: st.DataObject, state: str) -> int | None:
        those = [request for request, is_in in self.state.items() if is_in == state]
        return data.draw(st.sampled_from(those)) if those else None

    @rule(data=st.data())
    def wait_for_text(self, data: st.DataObject) -> None:
        if (request := self._one(data, "speaks")) is not None:
            self.slots.wait(request, True)
            self.state[request] = "waits"

    @rule(data=st.data())
    def text_comes(self, data: st.DataObject) -> None:
        if (request := self._one(data, "waits")) is not None:
            self.slots.wait(request, False)
            self.state[request] = "speaks"

    @rule(data=st.data(), dry_at=st.floats(0, 100))
    def suspend(self, data: st.DataObject, dry_at: float) -> None:
        if (request := self._one(data, "speaks")) is None:
            return
        fits = sum(state == "suspended" for state in self.state.values()) < 2
        assert self.slots.suspend(request, dry_at) == fits
        if fits:
            self.state[request], self.dry[request] = "suspended", dry_at

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        if (request := self._one(data, "suspended")) is not None:
            self.slots.resume(request)
            self.state[request] = "speaks"

    @rule(data=st.data(), state=st.sampled_from(["speaks", "waits", "suspended"]))
    def end(self, data: st.DataObject, state: str) -> None:
        if (request := self._one(data, state)) is not None:
            self.slots.end(request)
            self.slots.resume(request)  # its task ends after it
            del self.state[request]

    @invariant()
    def as_the_model_says(self) -> None:
        those = {
            state: {request for request, is_in in self.state.items() if is_in == state}
            for state in ("speaks", "waits", "suspended")
        }
        assert self.slots.taken == len(those["speaks"])
        assert self.slots.free == (self.slots.taken < 2)
        assert self.slots.waiting == those["waits"]
        assert self.slots.suspended == those["suspended"]
        assert self.slots.room_for_text == (len(self.streamed & self.state.keys()) < 3)
        first = min(((self.dry[request], request) for request in those["suspended"]), default=None)
        assert self.slots.first_dry() == first


TestSlotsMachine = SlotsMachine.TestCase
