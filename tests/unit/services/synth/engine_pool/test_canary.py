"""When a process must speak a canary, in what voice, and what its end means."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.synth.engine_pool.canary import (
    DOUBT_EVERY_S,
    CanaryResult,
    CanarySentence,
    SpeechProof,
    warm_up_texts,
    words_of,
)

pytestmark = pytest.mark.unit

WARM_UP = CanarySentence("1, 2.", "calm", "ko-KR", sounds=True)


def test_canary_is_due_when_the_process_has_spoken_nothing_for_the_time() -> None:
    proof = SpeechProof(30.0, WARM_UP, 100.0)
    assert proof.due_at() == 130.0
    proof.spoke(120.0)
    assert proof.due_at() == 150.0
    proof.begin(150.0)
    assert proof.due_at() == math.inf, "a second canary was due at the same time"
    proof.end(CanaryResult.PASSED, 151.0)
    assert proof.due_at() == 181.0


def test_canary_is_never_due_when_it_is_off() -> None:
    proof = SpeechProof(None, WARM_UP, 0.0)
    assert not proof.enabled
    proof.doubt()
    assert proof.due_at() == math.inf


def test_canary_that_was_stopped_is_due_again() -> None:
    proof = SpeechProof(30.0, WARM_UP, 0.0)
    proof.begin(30.0)
    proof.end(CanaryResult.STOPPED, 31.0)
    assert proof.due_at() == 30.0


def test_doubt_makes_a_canary_due_at_once_and_then_seldom() -> None:
    proof = SpeechProof(30.0, WARM_UP, 100.0)
    proof.doubt()
    assert proof.doubted and proof.due_at() <= 100.0
    proof.begin(101.0)
    proof.end(CanaryResult.PASSED, 101.1)
    assert not proof.doubted and proof.due_at() == 131.1
    proof.doubt()
    assert proof.due_at() == 101.0 + DOUBT_EVERY_S
    proof.spoke(102.0)
    assert not proof.doubted and proof.due_at() == 132.0, "speech did not end the doubt"


def test_canary_of_an_idle_process_does_not_delay_that_of_a_doubt() -> None:
    proof = SpeechProof(30.0, WARM_UP, 0.0)
    proof.begin(30.0)
    proof.end(CanaryResult.PASSED, 30.1)
    proof.doubt()
    assert proof.due_at() <= 30.1


def test_first_try_has_the_voice_of_the_last_good_sentence_and_the_second_is_the_warm_up() -> None:
    proof = SpeechProof(30.0, WARM_UP, 0.0)
    assert proof.begin(30.0) == [WARM_UP, WARM_UP]
    proof.end(CanaryResult.PASSED, 30.1)
    proof.ended_well("low", "en-US")
    assert proof.begin(61.0) == [CanarySentence("one, two.", "low", "en-US", sounds=True), WARM_UP]


@pytest.mark.parametrize(
    ("language", "first"),
    [("ko-KR", "하나, 둘."), ("KO", "하나, 둘."), ("en-US", "one, two."), ("tlh-KX", "one, two."), ("", "one, two.")],
)
def test_words_are_in_the_language_or_in_english(language: str, first: str) -> None:
    assert words_of(language) == first
    assert warm_up_texts(language) == list(dict.fromkeys(["1, 2.", first, "one, two."]))


@given(every_s=st.floats(0.01, 1e4), now=st.floats(0, 1e6), result=st.sampled_from(CanaryResult))
def test_only_a_passed_canary_counts_as_speech(every_s: float, now: float, result: CanaryResult) -> None:
    proof = SpeechProof(every_s, WARM_UP, 0.0)
    proof.begin(now)
    proof.end(result, now)
    assert proof.due_at() == (now + every_s if result is CanaryResult.PASSED else every_s)


class ProofMachine(RuleBasedStateMachine):
    """Evidence in any order. The clock only goes on; the process of the test speaks a canary when one is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.every_s = 30.0
        self.proof = SpeechProof(self.every_s, WARM_UP, 0.0)
        self.spoke_at = 0.0
        self.doubted = False
        self.doubt_begins: list[float] = []
        self.speaking = False
        self.because_of_doubt: list[float] = []

    @rule(seconds=st.floats(0.01, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def speaks(self) -> None:
        self.proof.spoke(self.now)
        self.spoke_at, self.doubted = self.now, False

    @rule()
    def fails(self) -> None:
        self.proof.doubt()
        self.doubted = True

    @precondition(lambda self: self.proof.due_at() <= self.now)
    @rule()
    def canary_begins(self) -> None:
        assert not self.speaking, "two canaries at the same time"
        silent = self.now >= self.spoke_at + self.every_s
        assert silent or self.doubted, "a process that speaks had to speak a canary"
        if not silent:
            self.because_of_doubt.append(self.now)
        assert len(self.proof.begin(self.now)) == 2
        if self.doubted:
            self.doubt_begins.append(self.now)
        self.speaking = True

    @precondition(lambda self: self.speaking)
    @rule(result=st.sampled_from(CanaryResult))
    def canary_ends(self, result: CanaryResult) -> None:
        self.proof.end(result, self.now)
        self.speaking = False
        if result is CanaryResult.PASSED:
            self.spoke_at, self.doubted = self.now, False

    @invariant()
    def silence_and_doubt_lead_to_a_canary(self) -> None:
        if self.speaking:
            return
        assert self.proof.due_at() <= self.spoke_at + self.every_s, "a silent process need not speak"
        if self.doubted:
            last = self.doubt_begins[-1] if self.doubt_begins else -math.inf
            assert self.proof.due_at() <= last + DOUBT_EVERY_S, "a doubt has no canary"

    @invariant()
    def doubts_do_not_double_the_work(self) -> None:
        for begun in self.because_of_doubt:
            earlier = [other for other in self.doubt_begins if other < begun]
            assert not earlier or begun - earlier[-1] >= DOUBT_EVERY_S - 1e-6


TestProofMachine = ProofMachine.TestCase
TestProofMachine.settings = settings(max_examples=150, stateful_step_count=40)
