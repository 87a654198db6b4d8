"""How many requests a synth works on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.queue.slots import Slots

pytestmark = pytest.mark.unit


def test_what_waits_for_text_takes_no_slot() -> None:
    room = Slots(2, open_texts=10)
    room.begin(1)
    assert (room.taken, room.free) == (1, True)
    room.begin(2)
    assert (room.taken, room.free) == (2, False)
    room.wait(1, True)
    assert (room.taken, room.free, room.waiting) == (1, True, {1})
    room.begin(3)
    room.wait(1, False)  # it goes on at once: one more than there are slots, so none is begun
    assert (room.taken, room.free) == (3, False)
    room.end(1)
    assert not room.free
    room.end(2)
    assert room.free and room.waiting == set()


def test_texts_beyond_the_limit_take_slots() -> None:
    room = Slots(2, open_texts=3)
    begun = 0
    while room.free:
        begun += 1
        room.begin(begun)
        room.wait(begun, True)
    assert begun == 5
    room.end(1)
    assert room.free


@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(["begin", "wait", "go on", "end"]), st.integers(0, 4))),
)
def test_the_count_is_right_in_any_order(slots: int, open_texts: int, events: list[tuple[str, int]]) -> None:
    room, working, waiting = Slots(slots, open_texts), set[int](), set[int]()
    for event, request in events:
        if event == "begin":
            room.begin(request)
            working.add(request)
        elif event == "end":
            room.end(request)
            working.discard(request)
            waiting.discard(request)
        else:
            room.wait(request, event == "wait")
            if event == "wait" and request in working:
                waiting.add(request)
            elif event == "go on":
                waiting.discard(request)
        assert room.waiting == waiting <= working
        assert room.taken == len(working) - min(len(waiting), open_texts)
        assert room.free == (room.taken < slots)
