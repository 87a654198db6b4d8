"""No caller takes all places of the gateway."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.fair_share import FairShare

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.booleans())))
def test_places_are_bounded_in_total_and_by_caller(steps: list[tuple[str, bool]]) -> None:
    share, held = FairShare(5, 2), Counter[str]()
    for caller, enters in steps:
        if enters:
            refusal = share.enter(caller)
            room = held.total() < 5 and (not caller or held[caller] < 2)
            assert (refusal is None) == room
            held[caller] += refusal is None
        elif held[caller]:
            share.leave(caller)
            held[caller] -= 1
        assert share.taken == held.total() <= 5


def test_another_caller_finds_a_place_beside_one_that_takes_all_it_can() -> None:
    share = FairShare(4, 2)
    assert [share.enter("greedy") for _ in range(2)] == [None, None]
    assert "in progress" in str(share.enter("greedy"))
    assert share.enter("other") is None
