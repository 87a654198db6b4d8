"""When a bridge may write: only while no other can take its sessions, and after its ownership is confirmed again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orastream.delivery.rules.lease import LEASE_MARGIN_S, LeaseTerm, WritePermission

pytestmark = pytest.mark.unit

LIFE_S = 3.0
CONFIRM_S = 0.4
DELAYS = st.floats(0, 10)


@given(st.floats(1, 1e6), DELAYS, DELAYS)
def test_it_holds_no_longer_than_the_server_keeps_the_heartbeat(sent_at: float, delay_s: float, later_s: float) -> None:
    """The server counts from when it stores the heartbeat, which is never before it was sent."""
    term = LeaseTerm(LIFE_S)
    term.renewed(sent_at, sent_at + delay_s)
    deleted_at = sent_at + LIFE_S
    assert not term.valid(deleted_at + later_s)
    assert term.valid(sent_at + LIFE_S - LEASE_MARGIN_S - 0.01)
    assert not term.valid(sent_at + LIFE_S - LEASE_MARGIN_S + 0.01), "a write that has begun needs time to arrive"


def test_the_first_heartbeat_is_no_lapse_and_a_late_one_is() -> None:
    term = LeaseTerm(LIFE_S)
    assert not term.valid(0.0)
    assert term.renewed(100.0, 100.1) is False and term.lapses == 0
    assert term.renewed(101.0, 101.1) is False and term.lapses == 0
    assert term.renewed(104.0, 104.1) is True and term.lapses == 1
    term.end()
    assert not term.valid(104.2)


class Owner(RuleBasedStateMachine):
    """The owner of one session. Its lease lapses and is renewed; another bridge may take the session meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.term = LeaseTerm(LIFE_S)
        self.term.renewed(self.now, self.now)
        self.heartbeat_until = self.now + LIFE_S
        self.permission = WritePermission(self.term, self.term.lapses)
        self.asked: int | None = None
        self.ours = True
        self.known_lost = False
        self.lost_at: float | None = None

    @rule(passed_s=st.sampled_from([0.1, 0.4, 1.0, 4.0]))
    def time_passes(self, passed_s: float) -> None:
        self.now += passed_s

    @rule()
    def a_heartbeat_is_stored(self) -> None:
        self.term.renewed(self.now, self.now)
        self.heartbeat_until = self.now + LIFE_S

    @precondition(lambda self: self.lost_at is None)
    @rule()
    def the_connection_breaks(self) -> None:
        self.lost_at = self.now
        self.term.disconnected(self.now, CONFIRM_S)
        assert not self.permission.granted(self.now)

    @precondition(lambda self: self.lost_at is not None)
    @rule()
    def it_is_connected_again(self) -> None:
        self.lost_at = None
        self.term.reconnected()

    @precondition(lambda self: self.now >= self.heartbeat_until or self._called_gone)
    @rule()
    def another_bridge_takes_the_session(self) -> None:
        assert self.now >= self.term.over_at, "what is on its way would not be cut"
        self.ours = False

    @property
    def _called_gone(self) -> bool:
        """Other bridges see that it has no connection, and wait for CONFIRM_S."""
        return self.lost_at is not None and self.now >= self.lost_at + CONFIRM_S

    @rule()
    def a_round(self) -> None:
        if (lapse := self.permission.next_check()) is not None:
            assert self.asked is None, "asked twice at a time"
            self.asked = lapse

    @precondition(lambda self: self.asked is not None)
    @rule(answers=st.booleans())
    def the_record_is_read(self, answers: bool) -> None:
        assert self.asked is not None
        self.permission.answered(self.asked, ours=self.ours if answers else None)
        self.known_lost = self.known_lost or (answers and not self.ours)
        self.asked = None

    @invariant()
    def nothing_is_written_to_another_owners_session(self) -> None:
        if self.permission.granted(self.now) and not self.known_lost:
            assert self.ours, "a chunk would be written after another bridge has taken the session"


TestOwner = Owner.TestCase


def test_an_owner_that_is_still_one_writes_again_after_a_lapse() -> None:
    term = LeaseTerm(LIFE_S)
    term.renewed(0.0, 0.0)
    permission = WritePermission(term, term.lapses)
    assert permission.granted(1.0) and permission.next_check() is None
    term.renewed(10.0, 10.0)
    assert not permission.granted(10.1)
    lapse = permission.next_check()
    assert lapse == 1 and permission.next_check() is None
    permission.answered(lapse, ours=None)
    assert not permission.granted(10.2) and permission.next_check() == 1
    permission.answered(1, ours=True)
    assert permission.granted(10.3)
    term.doubt()
    assert not permission.granted(10.4) and permission.next_check() == 2
