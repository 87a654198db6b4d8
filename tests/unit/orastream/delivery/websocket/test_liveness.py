"""When a connection is ended: without any progress, but not because OraServer is slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.websocket.liveness import PONG_S, STALLED_S, Liveness

pytestmark = pytest.mark.unit


def test_connection_ends_when_a_ping_is_not_answered() -> None:
    liveness = Liveness()
    assert liveness.next_time(0.0) is None and liveness.gone(1e9) is None
    liveness.asked(b"1", 100.0)
    liveness.asked(b"2", 105.0)
    assert liveness.next_time(105.0) == 100.0 + PONG_S
    assert liveness.gone(109.9) is None
    assert liveness.gone(110.0) == "a ping was not answered for 10 s"


def test_pong_answers_all_earlier_pings_and_restarts_the_timeout() -> None:
    liveness = Liveness()
    for number, at in ((1, 0.0), (2, 1.0), (3, 2.0)):
        liveness.asked(b"%d" % number, at)
    assert liveness.answered(b"7", 5.0) == []
    assert liveness.answered(b"2", 9.0) == [b"1", b"2"]
    assert liveness.answered(b"1", 9.0) == []
    assert liveness.gone(18.9) is None, "the timeout did not restart with the pong at 9 s"
    assert liveness.gone(19.0) is not None
    assert liveness.answered(b"3", 19.0) == [b"3"]
    assert liveness.next_time(19.0) is None


def test_connection_ends_when_oraserver_reads_no_byte() -> None:
    liveness = Liveness()
    for now in range(10):
        liveness.unsent(1000 + now, float(now))  # only pings are added, and the kernel accepts no byte
        assert liveness.gone(float(now)) is None and liveness.next_time(float(now)) == now + 1.0
    liveness.unsent(1010, 10.0)
    assert liveness.gone(10.0) == f"OraServer took no byte for {STALLED_S:g} s"


def test_ping_timeout_restarts_while_oraserver_reads_bytes() -> None:
    liveness = Liveness()
    liveness.asked(b"1", 0.0)
    for now in range(0, 60, 5):
        liveness.unsent(1000 - now, float(now))
        assert liveness.gone(float(now)) is None
    liveness.sent(60.0)
    assert liveness.gone(69.9) is None
    assert liveness.gone(70.0) == "a ping was not answered for 10 s"


EVENTS = st.lists(st.tuples(st.sampled_from(("ask", "answer", "take", "stay", "sent")), st.floats(0, 9.9)), max_size=40)


@given(EVENTS)
def test_ping_timeout_starts_at_the_last_progress(events: list[tuple[str, float]]) -> None:
    """For any sequence of events: no end within 10 s after progress, and always an end after 10 s without progress."""
    liveness, now, size, asked, progress_at = Liveness(), 0.0, 1000, 0, 0.0
    pings: list[tuple[bytes, float]] = []
    stalled = False  # whether the timeout for unsent bytes has passed
    for what, pause in events:
        now += pause
        if what == "ask":
            asked += 1
            pings.append((b"%d" % asked, now))
            liveness.asked(*pings[-1])
        elif what == "answer" and pings:
            assert liveness.answered(pings[0][0], now) == [pings.pop(0)[0]]
            progress_at = now
        elif what in ("take", "stay"):
            if what == "take" and stalled:
                progress_at = now
            size -= what == "take"
            stalled = True
            liveness.unsent(size, now)
        elif what == "sent":
            liveness.sent(now)
            progress_at, stalled = now, False
        reason = liveness.gone(now)
        due = bool(pings) and now >= max(pings[0][1], progress_at) + PONG_S
        assert (reason is not None and "ping" in reason) == due or (stalled and reason is not None)
    if pings:
        assert liveness.gone(now + PONG_S) is not None
