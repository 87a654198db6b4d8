"""synth's own rules: whose turn it is, and what becomes of a request that was handed out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.messages import Report
from services.synth.admission import Admission, Answers, admit
from services.synth.turns import Turns

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40))))
def test_turns_go_round_the_sessions_and_by_sequence_within(items: list[tuple[str, int]]) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for session, sequence in items:
        turns.put(session, sequence, (session, sequence))
    waiting = {session: sorted({q for s, q in items if s == session}) for session in "abc"}
    assert len(turns) == sum(map(len, waiting.values()))
    taken: list[tuple[str, int]] = []
    while (item := turns.take()) is not None:
        taken.append(item)
    assert {s: [q for t, q in taken if t == s] for s in "abc"} == waiting
    for session in "abc":
        places = [place for place, (taker, _) in enumerate(taken) if taker == session]
        for before, after in itertools.pairwise(places):
            between = [s for s, _ in taken[before + 1 : after]]
            assert len(between) == len(set(between)), "another session had two turns between two of this one"


def test_clear_gives_everything_once() -> None:
    turns: Turns[int] = Turns()
    turns.put("a", 1, 1)
    turns.put("a", 1, 11)
    turns.put("b", 2, 2)
    assert sorted(turns.all()) == [2, 11]
    assert sorted(turns.clear()) == [2, 11]
    assert len(turns) == 0 and turns.take() is None


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("status", ["synthesizing", "delivering", "delivered", "cancelled", "failed", "expired"])
def test_admission_in_the_documented_order(stored: bool, cancelled: bool, ours: bool, status: str) -> None:
    report = Report.model_validate(
        {"requestId": "r", "sessionId": "s", "requestSeq": 7 if ours else 3, "status": status}
    )
    admission = admit(Answers(7, stored, cancelled, report))
    if not stored:
        assert admission is Admission.GONE
    elif not ours:
        assert admission is Admission.DUPLICATE
    elif report.final:
        assert admission is Admission.FINAL
    elif cancelled:
        assert admission is Admission.CANCELLED
    else:
        assert admission is Admission.OURS
