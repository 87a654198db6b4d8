"""A set of byte ranges is a set of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.oraserver.v2.received_ranges import ReceivedRanges

pytestmark = pytest.mark.unit

offsets = st.integers(0, 40)
spans = st.tuples(offsets, offsets).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(spans, max_size=12), spans)
def test_it_is_a_set_of_bytes(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    ranges, model = ReceivedRanges(), set[int]()
    for first, past in added:
        ranges.add(first, past)
        model |= set(range(first, past))
    upto = next(at for at in range(42) if at not in model)
    above = ranges.above
    assert (ranges.upto, ranges.end, ranges.total) == (upto, max(model, default=-1) + 1, len(model))
    assert {at for first, past in above for at in range(first, past)} == {at for at in model if at > upto}
    assert all(before[1] < after[0] for before, after in zip(((0, upto), *above), above, strict=False))
    missing = [at for first, past in ranges.missing(*asked) for at in range(first, past)]
    assert missing == [at for at in range(*asked) if at not in model]
    assert ranges.overlap(*asked) == len(set(range(*asked)) & model)
