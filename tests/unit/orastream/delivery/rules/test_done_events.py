"""Closed requests and cancels: known until their wake-up is acked, and bounded."""

from __future__ import annotations

import pytest

from orastream.delivery.rules.done_events import MAX_DONE, DoneEvents

pytestmark = pytest.mark.unit


def test_an_event_is_known_until_it_is_acked_or_a_read_has_shown_its_deletion() -> None:
    done = DoneEvents()
    for sequence in (3, 5, 9):
        done.add(sequence)
    done.acked(5)
    done.forget(3)
    assert [sequence for sequence in range(12) if sequence in done] == [9]


def test_the_newest_stay_if_there_are_too_many() -> None:
    done = DoneEvents()
    for sequence in range(MAX_DONE + 10):
        done.add(sequence)
    done.forget(-1)
    assert 9 not in done and 10 in done and MAX_DONE + 9 in done
