"""The places of a text's characters in its source."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.source_runs import SourceRun, SourceRuns

pytestmark = pytest.mark.unit

PARTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ab", "가나다", "x", "&amp;", "&#44032;"])), min_size=1)


@settings(max_examples=100)
@given(PARTS, st.data())
def test_span_covers_exactly_the_sources_of_the_characters(parts: list[tuple[int, str]], data: st.DataObject) -> None:
    """Parts with other characters between them; a reference is one character of the text."""
    runs, at = SourceRuns(), 0
    expected: list[tuple[int, int]] = []
    for gap, part in parts:
        at += gap
        single = part.startswith("&")
        runs.add(SourceRun(at, at + len(part), 1 if single else len(part)))
        expected += [(at, at + len(part))] if single else [(at + i, at + i + 1) for i in range(len(part))]
        at += len(part)
    first = data.draw(st.integers(0, len(expected) - 1))
    end = data.draw(st.integers(first + 1, len(expected)))
    assert runs.span(first, end) == (expected[first][0], expected[end - 1][1])


def test_text_that_stands_nowhere_has_the_place_where_it_would() -> None:
    runs = SourceRuns()
    runs.add(SourceRun(20, 20, 1), SourceRun(30, 32, 2))
    assert runs.span(0, 1) == (20, 20) and runs.span(0, 3) == (20, 32)
