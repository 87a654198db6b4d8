"""Which processes are called gone: killed ones, never one that only reconnects, is slow or is stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orastream.jetstream.peer_watch import HOLDS_LIFE_S, MAX_PEERS, SETTLE_S, SILENT_S, SLOW_S, PeerWatch

pytestmark = pytest.mark.unit

CONFIRM_S = 0.4


def watching(*peers: str, own: str = "b") -> PeerWatch:
    watch = PeerWatch(own, CONFIRM_S)
    watch.connected(0.0)
    for peer in peers:
        watch.heard(peer, (f"$JS.ACK.{peer}",), SETTLE_S)
    return watch


def test_a_killed_process_is_gone_after_two_refusals_and_its_deliveries_are_known() -> None:
    watch = watching("c")
    assert watch.refused("c", SETTLE_S) is None
    assert watch.refused("c", SETTLE_S + CONFIRM_S - 0.01) is None
    assert watch.refused("c", SETTLE_S + CONFIRM_S) == ("$JS.ACK.c",)
    assert watch.refused("c", SETTLE_S + 9.0) is None, "it is reported once"
    assert watch.probe(SETTLE_S + 9.0) is None


@pytest.mark.parametrize("sign", ["heard", "answered", "unanswered", "reconnected"])
def test_a_sign_of_life_between_two_refusals_starts_the_wait_again(sign: str) -> None:
    watch = watching("c")
    assert watch.refused("c", 10.0) is None
    match sign:
        case "heard":
            watch.heard("c", (), 10.1)
        case "answered":
            watch.answered("c", 10.1)
        case "unanswered":
            watch.unanswered("c", 10.1)
        case _:
            watch.connected(10.1 - SETTLE_S)
    assert watch.refused("c", 10.0 + CONFIRM_S) is None
    assert watch.refused("c", 10.0 + 2 * CONFIRM_S) is not None


def test_nobody_is_gone_soon_after_this_process_has_connected() -> None:
    """After a restart of the server the others reconnect too, and look dead until they have."""
    watch = watching("c")
    watch.disconnected()
    assert watch.refused("c", 10.0) is None
    watch.connected(11.0)
    assert watch.refused("c", 11.0 + SETTLE_S - 0.1) is None
    assert watch.refused("c", 11.0 + SETTLE_S + CONFIRM_S - 0.2) is None, "the first refusal did not count"
    assert watch.refused("c", 11.0 + SETTLE_S + 2 * CONFIRM_S) is not None


def test_what_a_process_held_long_ago_is_not_handed_back() -> None:
    """The server may have delivered it to another process since: a nak would take it away."""
    watch = watching("c")
    late = SETTLE_S + HOLDS_LIFE_S
    assert watch.refused("c", late) is None
    assert watch.refused("c", late + CONFIRM_S) == ()


def test_invented_names_take_bounded_memory() -> None:
    watch = watching(*(f"c{number}" for number in range(MAX_PEERS)))
    watch.heard("z", (), SETTLE_S)
    assert watch.refused("z", SETTLE_S) is None and watch.refused("z", SETTLE_S + CONFIRM_S) is None


def test_a_beacon_of_an_unknown_process_is_answered_by_one() -> None:
    watch = watching()
    assert watch.heard("c", (), 1.0) and not watch.heard("c", (), 2.0)
    assert not watch.heard(watch.own, (), 3.0)


def test_it_knows_whether_it_is_alone_and_whether_it_suspects_somebody() -> None:
    watch = watching()
    assert watch.alone and not watch.suspects("c")
    watch.heard("c", (), SETTLE_S)
    assert not watch.alone and not watch.suspects("c")
    watch.refused("c", SETTLE_S)
    assert watch.suspects("c") and not watch.suspects("d")
    watch.answered("c", SETTLE_S)
    assert not watch.suspects("c")
    watch.left("c")
    assert watch.alone


def test_each_process_probes_the_next_one_in_the_ring() -> None:
    names = ["a", "b", "c", "d"]
    for own, successor in zip(names, [*names[1:], names[0]], strict=True):
        assert watching(*names, own=own).probe(SETTLE_S) == successor
    assert watching().probe(0.0) is None


def test_a_process_that_does_not_answer_is_passed_over_for_a_while() -> None:
    watch = watching("c", "d")
    watch.unanswered("c", 10.0)
    assert watch.probe(10.0) == "c", "it may have died with the probe in its socket: ask again at once"
    watch.unanswered("c", 10.0)
    assert watch.probe(10.0 + SLOW_S - 0.1) == "d"
    assert watch.probe(10.0 + SLOW_S) == "c"


def test_the_only_other_process_is_probed_even_if_it_does_not_answer() -> None:
    watch = watching("c")
    watch.unanswered("c", 10.0)
    watch.unanswered("c", 10.0)
    assert watch.probe(10.1) == "c"


def test_a_process_that_has_said_goodbye_or_was_silent_for_long_is_forgotten() -> None:
    watch = watching("c", "d")
    watch.left("c")
    assert watch.probe(SETTLE_S) == "d"
    assert watch.probe(SETTLE_S + SILENT_S + 0.1) is None
    assert watch.refused("d", SETTLE_S + SILENT_S + 1.0) is None


@given(st.lists(st.tuples(st.floats(0.05, CONFIRM_S * 0.9), st.floats(0.01, 5.0)), max_size=20))
def test_gaps_shorter_than_the_wait_never_end_a_process(gaps: list[tuple[float, float]]) -> None:
    """A live process that reconnects within `confirm_s` is never called gone, however often that happens."""
    watch, now = watching("c"), 10.0
    for gap_s, alive_s in gaps:
        assert watch.refused("c", now) is None
        assert watch.refused("c", now + gap_s) is None
        now += gap_s + alive_s
        watch.answered("c", now)


class Ring(RuleBasedStateMachine):
    """One process watches another that connects, loses its connection, is stopped and is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.watch = watching("c")
        self.watch.connected(0.0)
        self.watch.heard("c", (), self.now)
        self.subscribed_until = float("inf")
        self.stopped = False
        self.gone = False

    @rule(passed_s=st.sampled_from([0.1, 0.25, 1.0]))
    def probe(self, passed_s: float) -> None:
        self.now += passed_s
        name = self.watch.probe(self.now)
        if name is None:
            return
        if self.now >= self.subscribed_until:
            if self.watch.refused(name, self.now) is not None:
                assert self.now - self.subscribed_until >= CONFIRM_S, "gone too early"
                self.gone = True
        elif self.stopped:
            self.watch.unanswered(name, self.now)
        else:
            self.watch.answered(name, self.now)

    @precondition(lambda self: self.subscribed_until == float("inf"))
    @rule()
    def it_loses_its_connection(self) -> None:
        self.subscribed_until = self.now

    @precondition(lambda self: not self.gone and not self.stopped)  # a stopped process does not connect
    @rule()
    def it_connects_again(self) -> None:
        self.subscribed_until = float("inf")
        self.watch.heard("c", (), self.now)

    @rule(stopped=st.booleans())
    def it_is_stopped_or_resumed(self, stopped: bool) -> None:
        self.stopped = stopped

    @rule()
    def the_watcher_reconnects(self) -> None:
        self.watch.disconnected()
        self.watch.connected(self.now)

    @invariant()
    def a_gone_process_is_not_probed(self) -> None:
        assert not self.gone or self.watch.probe(self.now) is None

    def teardown(self) -> None:
        """A process that stays away is called gone in the end, unless it was forgotten before."""
        if self.gone or self.subscribed_until == float("inf"):
            return
        known = self.watch.probe(self.now + SLOW_S) is not None
        for _ in range(40):
            self.probe(0.25)
        assert self.gone or not known


TestRing = Ring.TestCase
TestRing.settings = settings(max_examples=100, stateful_step_count=40)
