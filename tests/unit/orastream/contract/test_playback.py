"""Playback against a simulated player with steps of one millisecond."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.playback import Playback

pytestmark = pytest.mark.unit


def played(chunks: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the number of waits and their sum, in ms, of a simulated player. Chunks are (arrival, duration) in ms."""
    buffered, waits, waited, dry = 0, 0, 0, False
    arrivals = list(chunks)
    now = arrivals[0][0]
    left = sum(duration for _, duration in arrivals)
    while left:
        while arrivals and arrivals[0][0] <= now:
            buffered += arrivals.pop(0)[1]
        if buffered:
            buffered, left, dry = buffered - 1, left - 1, False
        else:
            waits, waited, dry = waits + (not dry), waited + 1, True
        now += 1
    return waits, waited


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 50)), min_size=1, max_size=12), st.integers(0, 12))
def test_playback_counts_the_same_underruns_as_a_simulated_player(
    gaps: list[tuple[int, int]], taken_over_at: int
) -> None:
    chunks, now = [], 1_000
    for gap, duration in gaps:
        now += gap
        chunks.append((now, duration))
    playback, pts = Playback(), 0
    for index, (arrival, duration) in enumerate(chunks):
        if index and index == taken_over_at:  # another bridge continues from the report
            playback = Playback(
                chunks[0][0], chunks=index, underruns=playback.underruns, underrun_ms=playback.underrun_ms
            )
        playback.chunk(index, pts, arrival)
        playback.chunk(index, pts, arrival + 500)  # sent again after a reconnect
        pts += duration
    assert (playback.underruns, playback.underrun_ms) == played(chunks)


def test_playback_counts_no_underrun_when_audio_arrives_in_time() -> None:
    playback = Playback()
    for index in range(10):
        playback.chunk(index, index * 100, 5_000 + index * 100)
    assert (playback.underruns, playback.underrun_ms) == (0, 0.0)
