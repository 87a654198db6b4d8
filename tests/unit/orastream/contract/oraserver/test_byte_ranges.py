"""A set of byte offsets, against a set of integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.oraserver.byte_ranges import ByteRanges

pytestmark = pytest.mark.unit

offsets = st.integers(0, 40)
changes = st.lists(st.tuples(st.booleans(), offsets, offsets), max_size=30)


@given(changes)
def test_it_is_a_set_of_offsets(changes: list[tuple[bool, int, int]]) -> None:
    ranges, model = ByteRanges(), set[int]()
    for adds, first, past in changes:
        if adds:
            ranges.add(first, past)
            model |= set(range(first, past))
        else:
            ranges.remove(first, past)
            model -= set(range(first, past))
        found = list(ranges)
        assert {offset for low, high in found for offset in range(low, high)} == model
        assert all(low < high for low, high in found), "an empty range"
        assert all(high < low for (_, high), (low, _) in zip(found, found[1:], strict=False)), "ranges touch"
        assert ranges.total == len(model)
        assert bool(ranges) == bool(model)
        if model:
            assert ranges.first == found[0]


def test_it_is_made_from_ranges_in_any_order() -> None:
    assert list(ByteRanges([(7, 9), (1, 3), (3, 4), (8, 12)])) == [(1, 4), (7, 12)]


def test_the_first_range_of_none_is_an_error() -> None:
    with pytest.raises(IndexError):
        _ = ByteRanges().first
