"""When a stored cancel is deleted: only when no request before it is open, and once at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.cancels import RETRY_DROP_S, Cancels
from orastream.delivery.rules.session_outcomes import CancelOutcome
from tests.unit.orastream.delivery.rules.session_messages import cancel

pytestmark = pytest.mark.unit

SEQUENCES = st.sets(st.integers(1, 20), max_size=6)


def stored(*sequences: int) -> Cancels:
    cancels = Cancels()
    for sequence in sequences:
        cancels.add(cancel(sequence))
    return cancels


@given(SEQUENCES, st.none() | st.integers(1, 20))
def test_the_cancels_before_the_first_open_request_are_due_once(sequences: set[int], lowest: int | None) -> None:
    cancels = stored(*sequences)
    due = cancels.due(0.0, lowest)
    assert set(due) == {s for s in sequences if lowest is None or s < lowest}
    assert cancels.due(1e9, lowest) == [], "the outcome of each is awaited"
    assert cancels.next_time(lowest) is None
    assert {c.sequence for c in cancels} == sequences and all(s in cancels for s in sequences)


@given(SEQUENCES, st.data())
def test_in_the_end_all_cancels_are_deleted(sequences: set[int], data: st.DataObject) -> None:
    cancels, now = stored(*sequences), 0.0
    for attempt in range(30):
        for sequence in cancels.due(now, None):
            if attempt < 20 and data.draw(st.booleans()):
                cancels.apply(CancelOutcome(sequence, dropped=False), now)
            else:
                cancels.apply(CancelOutcome(sequence, dropped=True), 0.0)
        at = cancels.next_time(None)
        if at is None:
            break
        assert at > now, "tight loop"
        now = at
    assert not cancels and list(cancels) == []


def test_a_kept_cancel_is_due_again_after_a_second() -> None:
    cancels = stored(5)
    assert cancels.due(10.0, None) == [5]
    cancels.apply(CancelOutcome(5, dropped=False), 12.0)
    assert cancels.next_time(None) == 12.0 + RETRY_DROP_S
    assert cancels.due(12.0 + RETRY_DROP_S - 0.1, None) == []
    assert cancels.due(12.0 + RETRY_DROP_S, None) == [5]


def test_a_kept_cancel_waits_for_a_request_before_it_without_a_tight_loop() -> None:
    cancels = stored(5)
    assert cancels.due(0.0, None) == [5]
    cancels.apply(CancelOutcome(5, dropped=False), 0.0)
    assert cancels.due(100.0, 3) == [] and cancels.next_time(3) is None
    assert cancels.due(100.0, 6) == [5]


def test_a_dropped_cancel_is_not_stored_any_more() -> None:
    cancels = stored(5, 7)
    cancels.apply(CancelOutcome(5, dropped=False), 0.0)
    cancels.apply(CancelOutcome(5, dropped=True), 0.0)
    cancels.apply(CancelOutcome(5, dropped=True), 0.0)
    assert 5 not in cancels and 7 in cancels and cancels.next_time(None) is None
    cancels.add(cancel(5))  # read again, from a replica that lags
    assert cancels.due(0.0, None) == [7, 5]


def test_a_repeated_cancel_is_not_due_twice() -> None:
    cancels = stored(5)
    assert cancels.due(0.0, None) == [5]
    cancels.add(cancel(5))
    assert cancels.due(1e9, None) == []
