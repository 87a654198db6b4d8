"""Held wake-ups: how many there are, and when the stream must be read because the message of one did not come."""

from __future__ import annotations

import pytest

from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.session import Session
from orastream.delivery.runtime.wakeups import LATE_AGAIN_S, LATE_S, HeldCount, Wakeups
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery
from tests.unit.orastream.delivery.rules.session_messages import request

pytestmark = pytest.mark.integration


def wakeups() -> tuple[Session, Wakeups, HeldCount]:
    session, held = Session("websocket", 1, Lifetime(30.0)), HeldCount()
    return session, Wakeups(held), held


def delivery(js: JetStream, sequence: int) -> Delivery:
    return Delivery(js.broker, "tts.session.s.request", b"", f"acks.{sequence}", sequence, 0, 1)


async def test_all_sessions_share_one_count(js: JetStream) -> None:
    session, first, held = wakeups()
    acks: list[tuple[str, bytes]] = []
    await js.broker.subscribe("acks.*", lambda subject, _reply, data, _headers: acks.append((subject, data[:4])))
    second = Wakeups(held)
    for sequence in (2, 3, 3):
        first.hold(delivery(js, sequence), 0.0)
    second.hold(delivery(js, 4), 0.0)
    assert (held.count, len(first), len(second)) == (3, 2, 1)
    await first.ack_done(session, 2)
    await second.nak(1.0)
    await second.nak(1.0)
    assert (held.count, len(first), len(second)) == (1, 1, 0)
    await js.broker.round_trip()
    assert acks == [("acks.2", b"+ACK"), ("acks.4", b"-NAK")]


async def test_a_message_that_came_is_not_late(js: JetStream) -> None:
    session, held, _ = wakeups()
    held.hold(delivery(js, 2), 0.0)
    session.request(request(2), 0.0)
    assert not held.late(session, 100.0, 0) and held.next_time() is None


async def test_a_message_that_did_not_come_is_read_for_and_again_later(js: JetStream) -> None:
    session, held, _ = wakeups()
    held.hold(delivery(js, 2), 10.0)
    assert held.next_time() == 10.0 + LATE_S and not held.late(session, 10.0, 0)
    assert held.late(session, 10.0 + LATE_S, 0)
    assert not held.late(session, 10.0 + LATE_S, 0) and held.next_time() == 10.0 + LATE_S + LATE_AGAIN_S
    assert held.late(session, 10.0 + LATE_S + LATE_AGAIN_S, 1)
    assert not held.late(session, 1e6, 2) and held.next_time() is None, "a read has shown that it is not stored"
