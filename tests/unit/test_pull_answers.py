"""Whether a consumer answers pull requests: the rule behind readiness."""

from __future__ import annotations

import pytest

from orastream.pull import EXPIRES_S, LATE_S, Answers

pytestmark = pytest.mark.unit


def test_it_lacks_until_it_has_answered_once() -> None:
    answers = Answers("synth")
    assert "synth" in (answers.lacking(0) or "")
    answers.asked(0, 0.1)
    assert answers.lacking(0.05) is not None
    answers.answered()
    assert answers.lacking(0.1) is None


def test_one_that_is_deleted_lacks_until_it_answers_again() -> None:
    answers = Answers("synth")
    answers.asked(0, 0.1)
    answers.answered()
    answers.refused("it does not exist")
    assert "does not exist" in (answers.lacking(1) or "")
    answers.asked(1, 0.1)
    assert answers.lacking(1) is not None
    answers.answered()
    assert answers.lacking(1) is None


def test_after_a_reconnect_it_must_answer_anew() -> None:
    answers = Answers("synth")
    answers.answered()
    answers.reconnected()
    assert answers.lacking(0) is not None
    answers.answered()
    assert answers.lacking(0) is None


def test_silence_counts_only_while_something_is_asked() -> None:
    answers = Answers("synth")
    answers.answered()
    assert answers.lacking(1e6) is None, "a service that is full asks for nothing"
    answers.asked(0, EXPIRES_S)
    assert answers.lacking(EXPIRES_S + LATE_S) is None
    assert "7 s" in (answers.lacking(EXPIRES_S + LATE_S + 1) or "")


def test_a_request_that_is_asked_again_does_not_hide_the_silence() -> None:
    answers = Answers("synth")
    answers.answered()
    for at in range(0, 60, 6):  # each one lost, each one renewed after 6 s
        answers.asked(at, EXPIRES_S)
    assert answers.lacking(54 + 0.5) is not None
