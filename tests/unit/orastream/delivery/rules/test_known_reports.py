"""The last reports of a session: newer revisions replace older ones, and there is a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.known_reports import MAX_REPORTS, KnownReports
from tests.unit.orastream.delivery.rules.session_messages import request, state

pytestmark = pytest.mark.unit

REQUEST = request(2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=40))
def test_the_highest_revision_of_each_request_stays(added: list[tuple[int, int]]) -> None:
    known, highest = KnownReports(), dict[str, int]()
    for number, revision in added:
        token = f"r{number}"
        newer = known.add(token, state(REQUEST, "delivering", revision), 1.0)
        assert newer == (revision > highest.get(token, 0))
        highest[token] = max(revision, highest.get(token, 0))
    for token, revision in highest.items():
        found = known.get(token)
        assert found is not None and found[0].revision == revision


def test_the_request_whose_report_is_oldest_is_forgotten_first() -> None:
    known = KnownReports()
    for number in range(MAX_REPORTS + 5):
        known.add(f"r{number}", state(REQUEST, "delivered", number + 1), float(number))
    kept = [number for number in range(MAX_REPORTS + 5) if known.get(f"r{number}") is not None]
    assert kept == list(range(5, MAX_REPORTS + 5))
