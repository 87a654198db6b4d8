"""The window of a file that may have to be sent, against the bytes of the file."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.streams.file_window import FileWindow

pytestmark = pytest.mark.unit

RATE = 1000.0
"""Bytes of a second of audio."""
FILE = random.Random(1).randbytes(400)

steps = st.lists(st.tuples(st.sampled_from(["append", "release"]), st.integers(0, 60), st.integers(0, 10)), max_size=40)


@given(st.integers(0, 50), steps)
def test_it_has_the_bytes_of_the_file_from_what_was_released_on(base: int, steps: list[tuple[str, int, int]]) -> None:
    window, end, needed = FileWindow(base, RATE), base, base
    for step, amount, back in steps:
        if step == "append":
            offset = max(end - back, 0)
            data = FILE[offset : offset + amount]
            window.append(offset, data, offset)
            end = max(end, offset + len(data))
        else:
            needed = max(needed, min(needed + amount, end))
            window.release(needed)
        assert window.end == end
        assert base <= window.base <= max(needed, base)
        assert window.read(needed, end) == FILE[needed:end]
        middle = (needed + end) // 2
        assert window.read(needed, middle) + window.read(middle, end) == FILE[needed:end]


def test_a_gap_is_an_error() -> None:
    window = FileWindow(10, RATE)
    with pytest.raises(ValueError, match="does not follow"):
        window.append(11, b"x", 0)


def test_released_chunks_are_freed() -> None:
    window = FileWindow(0, RATE)
    for offset in range(0, 400, 20):
        window.append(offset, FILE[offset : offset + 20], offset)
    window.release(390)
    assert (window.base, window.end, window.read(390, 400)) == (390, 400, FILE[390:])
    assert len(window._chunks) == len(window._marks) == 1


def test_the_time_of_a_chunk_is_known_where_it_begins() -> None:
    window = FileWindow(30, RATE)
    window.append(20, FILE[20:40], 200)  # a part of it is stored already
    window.append(40, FILE[40:60], 450)
    assert [window.ms_of_chunk(offset) for offset in (20, 30, 40, 41, 60)] == [200, None, 450, None, None]
    window.release(45)
    assert window.ms_of_chunk(40) == 450, "the times of what follows come from it"


def test_the_time_of_a_byte_is_between_those_of_its_chunk_and_the_next_one() -> None:
    window = FileWindow(0, RATE)
    window.append(0, bytes(100), 0)
    assert window.ms_at(50) == 50, "by the rate, until chunks show another one"
    window.append(100, bytes(100), 200)
    assert [window.ms_at(offset) for offset in (0, 50, 100)] == [0, 100, 200]
    assert window.ms_at(150) == 300, "as many bytes for each ms as before"
    assert FileWindow(70, RATE).ms_at(80) == 0.0, "nothing is known"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 80)), min_size=1, max_size=12), st.data())
def test_times_never_fall(chunks: list[tuple[int, int]], data: st.DataObject) -> None:
    window, offset, ms = FileWindow(0, RATE), 0, 0
    for size, lasts_ms in chunks:
        window.append(offset, bytes(size), ms)
        offset, ms = offset + size, ms + lasts_ms
    low = data.draw(st.integers(0, offset))
    high = data.draw(st.integers(low, offset + 20))
    assert window.ms_at(low) <= window.ms_at(high)
