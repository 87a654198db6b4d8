"""The script of `FakeNode`."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.testing.fake.outcomes import FakeOutcome, Script

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"},
        {"code": "oops"},
        {"refused": "yes"},
        {"delay_s": -1},
        {"delay_s": float("nan")},
        {"heard_ms": -1},
    ],
    ids=str,
)
def test_a_wrong_outcome_names_its_field(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        FakeOutcome(**fields)


def test_outcomes_are_taken_in_order_by_the_sessions_that_they_are_for() -> None:
    script = Script()
    failed, expired = FakeOutcome("failed"), FakeOutcome("expired")
    script.add(failed, session_id="a", times=2)
    script.add(expired, session_id=None, times=1)
    assert [script.take("b"), script.take("b")] == [expired, FakeOutcome()]
    assert [script.take("a"), script.take("a"), script.take("a")] == [failed, failed, FakeOutcome()]
    with pytest.raises(ValueError, match="times"):
        script.add(failed, session_id=None, times=0)
    script.add(failed, session_id=None, times=1)
    script.clear()
    assert script.take("a") == FakeOutcome()
