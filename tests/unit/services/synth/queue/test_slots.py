"""How many requests a synth works on at the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.queue.slots import Slots

pytestmark = pytest.mark.unit


def test_request_takes_no_slot_while_it_waits_for_text() -> None:
    slots_of_synth = Slots(2, open_texts=10)
    slots_of_synth.begin(1)
    assert (slots_of_synth.taken, slots_of_synth.free) == (1, True)
    slots_of_synth.begin(2)
    assert (slots_of_synth.taken, slots_of_synth.free) == (2, False)
    slots_of_synth.wait(1, True)
    assert (slots_of_synth.taken, slots_of_synth.free, slots_of_synth.waiting) == (1, True, {1})
    slots_of_synth.begin(3)
    slots_of_synth.wait(1, False)  # it continues at once: one more than `slots`, so no other one may begin
    assert (slots_of_synth.taken, slots_of_synth.free) == (3, False)
    slots_of_synth.end(1)
    assert not slots_of_synth.free
    slots_of_synth.end(2)
    assert slots_of_synth.free and slots_of_synth.waiting == set()


def test_waiting_texts_above_the_limit_take_slots() -> None:
    slots_of_synth = Slots(2, open_texts=3)
    begun = 0
    while slots_of_synth.free:
        begun += 1
        slots_of_synth.begin(begun)
        slots_of_synth.wait(begun, True)
    assert begun == 5
    slots_of_synth.end(1)
    assert slots_of_synth.free


@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(["begin", "wait", "go on", "end"]), st.integers(0, 4))),
)
def test_count_of_slots_is_right_for_any_order_of_events(
    slots: int, open_texts: int, events: list[tuple[str, int]]
) -> None:
    slots_of_synth, working, waiting = Slots(slots, open_texts), set[int](), set[int]()
    for event, request in events:
        if event == "begin":
            slots_of_synth.begin(request)
            working.add(request)
        elif event == "end":
            slots_of_synth.end(request)
            working.discard(request)
            waiting.discard(request)
        else:
            slots_of_synth.wait(request, event == "wait")
            if event == "wait" and request in working:
                waiting.add(request)
            elif event == "go on":
                waiting.discard(request)
        assert slots_of_synth.waiting == waiting <= working
        assert slots_of_synth.taken == len(working) - min(len(waiting), open_texts)
        assert slots_of_synth.free == (slots_of_synth.taken < slots)
