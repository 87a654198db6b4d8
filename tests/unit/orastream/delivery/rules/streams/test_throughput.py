"""The rate of a connection and the time of its acks, on a simulated link."""

from __future__ import annotations

import heapq
import itertools

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from orastream.delivery.rules.streams.throughput import KEPT_S, MAX_FRAMES, Throughput

pytestmark = pytest.mark.unit

ACK_BYTES, ACK_S = 64 << 10, 0.25
"""OraServer acks after so many bytes, or so many seconds."""
UNSENT_BYTES = 16 << 10
"""The socket takes a frame while fewer bytes than these were not sent."""


def measure(rate: float, delay_s: float, frame_bytes: int, frames: int, *, ack_bytes: int = ACK_BYTES) -> Throughput:
    """Send frames as fast as a link takes them, with an ack after `ack_bytes` or ACK_S."""
    found, order = Throughput(), itertools.count()
    acks: list[tuple[float, int, int]] = []
    now = free_at = acked_at = 0.0
    unacked = 0
    for frame in range(1, frames + 1):
        waited = (free_at - now) * rate > UNSENT_BYTES
        if waited:
            now = free_at - UNSENT_BYTES / rate
        while acks and acks[0][0] <= now:
            at, _, seen = heapq.heappop(acks)
            found.acked(seen, at)
        found.sent(frame, frame_bytes, now, busy=waited)
        free_at = max(free_at, now) + frame_bytes / rate
        unacked += frame_bytes
        read_at = free_at + delay_s
        if unacked >= ack_bytes or read_at - acked_at >= ACK_S:
            heapq.heappush(acks, (read_at + delay_s, next(order), frame))
            unacked, acked_at = 0, read_at
    while acks:
        at, _, seen = heapq.heappop(acks)
        found.acked(seen, at)
    return found


@settings(max_examples=60)
@example(rate=1e6, delay_s=0.0, frame_bytes=16384, ack_bytes=ACK_BYTES)
@example(rate=8e3, delay_s=0.3, frame_bytes=512, ack_bytes=ACK_BYTES)
@given(
    rate=st.floats(8e3, 1e7),
    delay_s=st.floats(0, 0.3),
    frame_bytes=st.sampled_from([512, 4096, 16384, 32768]),
    ack_bytes=st.sampled_from([1, 20_000, ACK_BYTES]),
)
def test_the_rate_of_a_busy_link_is_known_within_a_tenth(
    rate: float, delay_s: float, frame_bytes: int, ack_bytes: int
) -> None:
    assume(frame_bytes > rate / 500)
    frames = max(int(3 * rate / frame_bytes), 12)
    found = measure(rate, delay_s, frame_bytes, frames, ack_bytes=ack_bytes)
    measured = max(rate for _, rate in found._busy._rates)
    assert 0.9 * rate <= measured <= 1.1 * rate


def test_the_rate_of_a_link_that_was_never_busy_is_unknown() -> None:
    found = Throughput()
    for frame in range(1, 50):
        found.sent(frame, 1000, float(frame), busy=False)
        found.acked(frame, frame + 0.1)
    assert found.bytes_per_s(50.0) is None
    assert found.surely_bytes_per_s(50.0) == pytest.approx(10_000), "it has carried as much"
    assert found.surely_bytes_per_s(50.0 + KEPT_S) == 0.0
    assert found.ack_s == pytest.approx(0.1)


def busy_sample(found: Throughput, frame: int, at: float, size: int, took_s: float) -> None:
    found.sent(frame, size, at, busy=True)
    found.acked(frame, at + took_s)


def test_a_sample_counts_for_some_seconds() -> None:
    found = Throughput()
    busy_sample(found, 1, 100.0, 5000, 0.5)
    assert found.bytes_per_s(100.5) == 10_000
    assert found.bytes_per_s(100.5 + KEPT_S) == 10_000
    assert found.bytes_per_s(101.0 + KEPT_S) is None


def test_a_link_that_is_not_busy_carries_at_least_what_it_carried() -> None:
    found = Throughput()
    busy_sample(found, 1, 100.0, 5000, 0.5)
    found.sent(2, 100, 101.0, busy=False)
    found.acked(2, 101.5)
    assert found.bytes_per_s(102.0) == 10_000, "it was not busy: the link could have carried more"
    found.sent(3, 10_000, 103.0, busy=False)
    found.acked(3, 103.5)
    assert found.bytes_per_s(104.0) == 20_000
    found.sent(4, 50_000, 140.0, busy=False)
    found.acked(4, 140.5)
    assert found.bytes_per_s(141.0) is None, "it was not busy for a long time"


def test_the_time_of_acks_is_smoothed_as_that_of_tcp() -> None:
    found = Throughput()
    busy_sample(found, 1, 100.0, 10, 0.8)
    assert found.ack_s == pytest.approx(0.8)
    busy_sample(found, 2, 110.0, 10, 1.6)
    assert found.ack_s == pytest.approx(0.9)


def test_one_frame_is_measured_at_a_time() -> None:
    found = Throughput()
    found.sent(1, 10, 100.0, busy=True)
    found.sent(2, 10, 100.4, busy=True)
    found.acked(0, 100.5)
    assert found.ack_s == 0, "an ack that was sent before the frame was read"
    found.acked(2, 101.0)
    assert found.ack_s == 1.0


def test_bytes_that_were_read_before_the_frame_was_sent_do_not_count_for_it() -> None:
    """Acks of streams come late, each at its own time; but each says how many frames of all streams were read."""
    found = Throughput()
    found.sent(1, 100_000, 100.0, busy=False)  # of a stream whose ack comes 0.25 s later
    found.sent(2, 1_000, 100.1, busy=False)
    found.acked(2, 100.2)  # of another stream
    found.sent(3, 1_000, 100.24, busy=False)
    found.acked(2, 100.25)  # of the first stream
    found.acked(3, 100.26)
    assert found.surely_bytes_per_s(100.3) == pytest.approx(101_000 / 0.2)


def test_an_oraserver_that_never_says_what_it_has_read_takes_no_memory() -> None:
    """Its acks may be right in all else, so that the connection goes on for days."""
    found = Throughput()
    for frame in range(1, 3 * MAX_FRAMES):
        found.sent(frame, 1000, frame * 0.01, busy=False)
        found.acked(0, frame * 0.01)
    assert len(found._sent) == MAX_FRAMES
    found.acked(3 * MAX_FRAMES, 1000.0)
    assert not found._sent and found.ack_s > 0
