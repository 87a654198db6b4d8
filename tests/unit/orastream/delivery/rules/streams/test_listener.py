"""How much audio a listener has."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orastream.delivery.rules.streams.listener import Listener

pytestmark = pytest.mark.unit

RATE = 1000
"""Bytes of a second of audio."""


def send(listener: Listener, seconds: float, now: float, *, seq: int = 1, first: int = 0) -> None:
    """Send so much new audio of an utterance, from this byte on."""
    listener.sent(seq, first, first + round(seconds * RATE), seconds, now)


def test_what_was_sent_is_played_one_after_the_other() -> None:
    listener = Listener()
    assert listener.lead_s(100.0) == 0
    send(listener, 2.0, 100.0)
    send(listener, 3.0, 101.0, first=2000)
    assert [listener.lead_s(at) for at in (101.0, 104.0, 105.0, 200.0)] == [4.0, 1.0, 0.0, 0.0]
    assert listener.comes_down_to(3.0) == 102.0


def test_after_a_pause_it_plays_from_the_new_audio_on() -> None:
    listener = Listener()
    send(listener, 1.0, 100.0)
    send(listener, 1.0, 150.0, first=1000)
    assert listener.lead_s(150.0) == 1.0


def test_a_report_of_the_phone_counts_more_than_the_estimate() -> None:
    listener = Listener()
    send(listener, 5.0, 100.0)
    listener.played(1, 5000, 4.0, 103.0)
    assert listener.lead_s(103.0) == 4.0
    listener.played(1, 5000, -1.0, 104.0)
    assert listener.lead_s(104.0) == 0.0
    listener.played(1, 5000, 7.0, 104.0)
    assert listener.lead_s(104.0) == 7.0, "an earlier owner has sent more"


def test_a_report_of_one_utterance_says_nothing_of_the_later_ones() -> None:
    listener = Listener()
    send(listener, 5.0, 100.0)
    send(listener, 3.0, 100.0, seq=2)
    listener.played(1, 5000, 4.0, 102.0)
    assert listener.lead_s(102.0) == 7.0
    listener.played(2, 3000, 3.0, 102.0, begun=False)
    assert listener.lead_s(102.0) == 7.0
    listener.played(2, 3000, 2.5, 103.0)
    assert listener.lead_s(103.0) == 2.5, "the first one is over"


def test_audio_that_did_not_arrive_is_not_played() -> None:
    listener = Listener()
    send(listener, 5.0, 100.0)
    listener.stored(1, 3000)
    assert listener.lead_s(101.0) == 2.0
    listener.stored(1, 0)
    assert listener.lead_s(101.0) == 0.0
    send(listener, 1.0, 101.0)
    assert listener.lead_s(101.0) == 1.0, "less than nothing is no debt"
    listener.stored(2, 0)
    assert listener.lead_s(101.0) == 1.0, "nothing of this one was sent"


def test_audio_whose_ack_was_lost_counts_from_when_it_was_sent() -> None:
    listener = Listener()
    send(listener, 5.0, 100.0)
    listener.stored(1, 1000)
    listener.stored(1, 4000)
    assert listener.lead_s(103.5) == 0.5
    send(listener, 2.0, 103.5, first=4000)
    listener.stored(1, 9000)
    assert listener.lead_s(103.5) == 2.5, "there is no more than was sent"


def test_what_is_lost_after_a_report_is_the_last_of_it() -> None:
    listener = Listener()
    send(listener, 10.0, 100.0)
    listener.played(1, 10_000, 2.0, 101.0)
    listener.stored(1, 9000)
    assert listener.lead_s(101.0) == 1.0


def test_what_an_earlier_owner_has_sent_does_not_count() -> None:
    listener = Listener()
    send(listener, 5.0, 100.0)
    listener.sent_before(1, 2000)
    assert listener.lead_s(100.0) == 3.0
    listener.stored(1, 4000)
    assert listener.lead_s(100.0) == 2.0
    listener.sent_before(1, 9000)
    assert listener.lead_s(100.0) == 0.0


class _Phone(RuleBasedStateMachine):
    """A phone that plays the utterances of a session in order. Each one is opened when those before it are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.listener, self.now, self.seq = Listener(), 100.0, 1
        self.sent: dict[int, int] = {}
        """Bytes that were sent, by sequence."""
        self.there: list[list[float]] = []
        """Sequence, and seconds that are not played."""

    @rule(seconds=st.integers(1, 8))
    def send(self, seconds: int) -> None:
        first = self.sent.get(self.seq, 0)
        send(self.listener, seconds, self.now, seq=self.seq, first=first)
        self.sent[self.seq] = first + seconds * RATE
        if not self.there or self.there[-1][0] != self.seq:
            self.there.append([self.seq, 0])
        self.there[-1][1] += seconds

    @rule()
    def begin_the_next_one(self) -> None:
        self.seq += 1

    @rule(seconds=st.integers(1, 6))
    def play(self, seconds: int) -> None:
        self.now += seconds
        left = float(seconds)
        while self.there and left:
            played = min(left, self.there[0][1])
            left -= played
            self.there[0][1] -= played
            if not self.there[0][1]:
                del self.there[0]

    @rule(back=st.integers(0, 4), every=st.booleans())
    def cancel(self, back: int, every: bool) -> None:
        at = self.seq - back
        self.listener.cancelled(self.now, **({"before": at} if every else {"seq": at}))
        self.there = [one for one in self.there if not (one[0] < at if every else one[0] == at)]

    @rule(lost=st.integers(1, 5), arrived=st.integers(0, 5))
    def break_and_go_on(self, lost: int, arrived: int) -> None:
        """The last seconds have no ack, and some of them have arrived all the same."""
        if not self.there or self.there[-1][0] != self.seq:
            return
        lost = min(lost, int(self.there[-1][1]))
        arrived = min(lost, arrived)
        end = self.sent[self.seq]
        self.listener.stored(self.seq, end - lost * RATE)
        self.listener.stored(self.seq, end - (lost - arrived) * RATE)
        self.sent[self.seq] = end - (lost - arrived) * RATE
        self.there[-1][1] -= lost - arrived
        if not self.there[-1][1]:
            del self.there[-1]

    @rule(ago=st.integers(0, 3))
    def report(self, ago: int) -> None:
        """The phone says what it has of the one that plays; it is right, or that much behind."""
        if self.there:
            seq, left = int(self.there[0][0]), self.there[0][1]
            self.there[0][1] = min(left + ago, self.sent[seq] / RATE)
            self.listener.played(seq, self.sent[seq], self.there[0][1], self.now)

    @invariant()
    def the_lead_is_what_is_there(self) -> None:
        assert self.listener.lead_s(self.now) == pytest.approx(sum(seconds for _, seconds in self.there))


TestPhone = _Phone.TestCase
TestPhone.pytestmark = [pytest.mark.unit]  # type: ignore[attr-defined]


def test_utterances_that_were_played_take_no_memory() -> None:
    """A session that always has audio left, for 10 000 utterances of a second each."""
    listener = Listener()
    for seq in range(1, 10_000):
        listener.sent(seq, 0, 100, 1.0, float(seq) - 0.5)
        assert listener.lead_s(float(seq) - 0.5) == pytest.approx(min(seq, 1.0), abs=0.01)
    assert len(listener._shares) <= 3


def test_how_much_of_each_utterance_is_not_played() -> None:
    listener = Listener()
    send(listener, 2.0, 100.0)
    send(listener, 3.0, 100.0, seq=2)
    assert [listener.rest_s(1, at) for at in (100.0, 101.5, 102.0, 104.0)] == [2.0, 0.5, 0.0, 0.0]
    assert [listener.rest_s(2, at) for at in (100.0, 102.0, 104.0, 105.0)] == [3.0, 3.0, 1.0, 0.0]
    assert (listener.ends_at(1), listener.ends_at(2)) == (102.0, 105.0)
    listener.cancelled(101.0, seq=1)
    assert (listener.rest_s(1, 101.0), listener.rest_s(2, 101.0), listener.ends_at(2)) == (0.0, 3.0, 104.0)
    assert listener.ends_at(1) == float("-inf") == listener.ends_at(9)
