"""`PullProof`, the readiness rule: whether a consumer answers pull requests."""

from __future__ import annotations

import pytest

from orastream.jetstream.pull_consumer import EXPIRES_S, LATE_S, PullProof

pytestmark = pytest.mark.unit


def test_consumer_is_unproven_until_its_first_answer() -> None:
    proof = PullProof("synth")
    assert "synth" in (proof.lacking(0) or "")
    proof.asked(0, 0.1)
    assert proof.lacking(0.05) is not None
    proof.answered()
    assert proof.lacking(0.1) is None


def test_consumer_is_unproven_after_a_refusal_until_it_answers_again() -> None:
    proof = PullProof("synth")
    proof.asked(0, 0.1)
    proof.answered()
    proof.refused("it does not exist")
    assert "does not exist" in (proof.lacking(1) or "")
    proof.asked(1, 0.1)
    assert proof.lacking(1) is not None
    proof.answered()
    assert proof.lacking(1) is None


def test_consumer_is_unproven_after_a_reconnect_until_it_answers_again() -> None:
    proof = PullProof("synth")
    proof.answered()
    proof.reconnected()
    assert proof.lacking(0) is not None
    proof.answered()
    assert proof.lacking(0) is None


def test_silence_counts_only_while_a_pull_request_is_open() -> None:
    proof = PullProof("synth")
    proof.answered()
    assert proof.lacking(1e6) is None, "silence counted, although a full service sends no pull requests"
    proof.asked(0, EXPIRES_S)
    assert proof.lacking(EXPIRES_S + LATE_S) is None
    assert "7 s" in (proof.lacking(EXPIRES_S + LATE_S + 1) or "")


def test_repeated_pull_requests_do_not_hide_the_silence() -> None:
    proof = PullProof("synth")
    proof.answered()
    for at in range(0, 60, 6):  # each request is lost and renewed after 6 s
        proof.asked(at, EXPIRES_S)
    assert proof.lacking(54 + 0.5) is not None
