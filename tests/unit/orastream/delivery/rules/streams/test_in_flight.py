"""What of a stream is on its way, and what was lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.streams.in_flight import InFlight

pytestmark = pytest.mark.unit


def test_what_was_read_and_is_not_stored_was_lost() -> None:
    flight = InFlight()
    for frame, first in ((3, 0), (4, 10), (7, 20)):
        flight.sent(frame, first, first + 10)
    assert flight.bytes == 30
    assert list(flight.seen(2, 0, [])) == [], "nothing of the stream was read"
    assert list(flight.seen(5, 10, [])) == [(10, 20)]
    assert flight.bytes == 10
    assert list(flight.seen(5, 10, [])) == [], "it was said once"
    assert list(flight.seen(7, 10, [(20, 25)])) == [(25, 30)]
    assert flight.bytes == 0


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.booleans()), min_size=1, max_size=30),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_each_byte_is_in_flight_until_its_frame_was_read(frames: list[tuple[int, int, bool]], asked: list[int]) -> None:
    flight = InFlight()
    number = at = 0
    numbers: dict[int, int] = {}  # byte → number of its frame
    stored: set[int] = set()
    for step, size, arrives in frames:
        number += step
        flight.sent(number, at, at + size)
        numbers |= dict.fromkeys(range(at, at + size), number)
        stored |= set(range(at, at + size)) if arrives else set()
        at += size
    read = 0
    for seen in sorted(asked):
        ranges = [(byte, byte + 1) for byte in sorted(stored) if numbers[byte] <= seen]
        upto = next(byte for byte in itertools.count() if byte not in stored or numbers[byte] > seen)
        above = [(first, past) for first, past in ranges if first > upto]
        lost = {byte for first, past in flight.seen(seen, upto, above) for byte in range(first, past)}
        assert lost == {byte for byte, frame in numbers.items() if read < frame <= seen} - stored
        assert flight.bytes == sum(frame > seen for frame in numbers.values())
        read = seen
