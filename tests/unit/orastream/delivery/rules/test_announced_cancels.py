"""Which cancels the owner of a session has OraServer carry out, as the protocol becomes known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import AnnounceCancel, DropCancel, LookUp
from orastream.delivery.rules.session_outcomes import CancelAnnounced, LookedUp
from tests.unit.orastream.delivery.rules.session_messages import cancel, request

pytestmark = pytest.mark.unit


def announced(session: Session) -> list[int]:
    """The sequences of the cancels that are announced now."""
    return [effect.cancel.sequence for effect in session.poll(0.0) if isinstance(effect, AnnounceCancel)]


def test_a_session_that_began_with_v1_announces_its_cancels_when_oraserver_speaks_v2() -> None:
    session = Session("websocket", 7, Lifetime(30.0))
    session.cancel(cancel(3))
    assert session.poll(0.0) == [DropCancel(3)], "over v1 nobody waits for an answer"
    session.oraserver_needs_cancels(True)
    session.cancel(cancel(5))
    assert session.poll(0.0) == [AnnounceCancel(cancel(5))]
    assert session.poll(0.0) == [], "it is kept until OraServer has answered"
    session.apply(CancelAnnounced(5), 0.0)
    assert session.poll(0.0) == [DropCancel(5)]


def test_a_session_that_began_with_v2_announces_nothing_when_oraserver_speaks_v1() -> None:
    session = Session("websocket", 7, Lifetime(30.0), announces=True)
    session.oraserver_needs_cancels(False)
    session.cancel(cancel(5))
    assert session.poll(0.0) == [DropCancel(5)]


@pytest.mark.parametrize("needed", [False, True])
def test_a_request_that_supersedes_is_announced_as_the_cancels_are(needed: bool) -> None:
    session = Session("websocket", 7, Lifetime(30.0))
    session.oraserver_needs_cancels(needed)
    session.request(request(1, "websocket"), 0.0)
    session.request(request(2, "websocket", requestId="n", supersede=True), 0.0)
    looks = [effect for effect in session.poll(0.0) if isinstance(effect, LookUp)]
    for look in looks:
        session.apply(LookedUp(look.entry, None), 0.0)
    assert looks and announced(session) == [2] * needed


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_each_cancel_is_announced_once_if_it_came_while_oraserver_needs_them(steps: list[tuple[bool, bool]]) -> None:
    session, found, expected = Session("websocket", 7, Lifetime(30.0)), [], []
    for sequence, (needed, again) in enumerate(steps, 1):
        session.oraserver_needs_cancels(needed)
        session.cancel(cancel(sequence))
        expected += [sequence] * needed
        found += announced(session)
        if again:
            session.cancel(cancel(sequence))
    assert found + announced(session) == expected
