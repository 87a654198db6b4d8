"""Silence at the edges of a sentence is cut to a bound; sound is never cut, and little is held back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.audio import edge_silence
from services.synth.audio.edge_silence import MAX_HELD_S, SILENT, EdgeTrim

pytestmark = pytest.mark.unit

RATE_HZ = 1_000
"""One sample is 1 ms."""
BOUND_MS = 30
LEAD_MS = int(edge_silence.MAX_LEAD_S * 1000)
HELD_MS = int(MAX_HELD_S * 1000)


def pcm(*parts: tuple[int, int]) -> bytes:
    """Samples of these levels and durations in ms. Quiet ones change, as noise does."""
    return b"".join(
        np.where(np.arange(ms) % 2, level, -level if abs(level) <= SILENT else level).astype("<i2").tobytes()
        for level, ms in parts
    )


def trimmed(data: bytes, sizes: list[int] | None = None, bound_ms: int = BOUND_MS) -> tuple[bytes, EdgeTrim]:
    trim, out, at = EdgeTrim(RATE_HZ, bound_ms), b"", 0
    for size in sizes or []:
        out += trim.push(data[at : at + 2 * size])
        at += 2 * size
        assert len(trim._held) <= 2 * (BOUND_MS + HELD_MS), "too much is held"
    out += trim.push(data[at:])
    return out + trim.finish(), trim


@pytest.mark.parametrize(
    ("given_parts", "expected_parts", "cut"),
    [
        ([(9_000, 50)], [(9_000, 50)], 0),
        ([(0, 300), (9_000, 50), (0, 300)], [(0, 30), (9_000, 50), (0, 30)], 270),
        ([(0, 20), (9_000, 50), (0, 10)], [(0, 20), (9_000, 50), (0, 10)], 0),
        ([(9_000, 50), (0, 300), (9_000, 50)], [(9_000, 50), (0, 300), (9_000, 50)], 0),  # a pause inside
        ([(9_000, 5), (0, 9_000), (9_000, 5)], [(9_000, 5), (0, 9_000), (9_000, 5)], 0),
        ([(20, 300), (33, 1), (0, 100)], [(20, 30), (33, 1), (0, 30)], 270),  # one sample above the level is sound
        ([(0, 300)], [(0, 30)], 270),
        ([(0, 10)], [(0, 10)], 0),
        ([(0, LEAD_MS + HELD_MS + 530)], [(0, 501)], LEAD_MS),  # endless silence: what exceeds both bounds is passed on
        ([(9_000, 5), (0, HELD_MS + 30)], [(9_000, 5), (0, 30)], 0),
        ([(9_000, 5), (0, HELD_MS + 40)], [(9_000, 5), (0, 30)], 0),
        ([(9_000, 5), (0, HELD_MS + 90)], [(9_000, 5), (0, 61)], 0),  # 60 were passed on before the end was known
        ([(0, LEAD_MS + 30), (9_000, 5)], [(0, 30), (9_000, 5)], LEAD_MS),
        ([(0, LEAD_MS + 80), (9_000, 5)], [(0, 80), (9_000, 5)], LEAD_MS),  # 10 s are cut, and not more
        ([], [], 0),
    ],
)
def test_edges_are_cut_to_the_bound(
    given_parts: list[tuple[int, int]], expected_parts: list[tuple[int, int]], cut: int
) -> None:
    out, trim = trimmed(pcm(*given_parts))
    assert [len(out), trim.cut, trim.passed] == [len(pcm(*expected_parts)), cut, len(out) // 2]
    assert out in pcm(*given_parts), "the output is not one part of the input"
    assert not given_parts or pcm(*expected_parts).strip(b"\0") in out


PARTS = st.lists(
    st.tuples(
        st.sampled_from([0, 20, SILENT, SILENT + 1, 9_000, -9_000]), st.sampled_from([1, 5, 29, 30, 31, 90, 2_500])
    ),
    max_size=6,
)


@given(PARTS, st.lists(st.integers(0, 700), max_size=30))
def test_the_cut_into_pieces_changes_nothing(parts: list[tuple[int, int]], sizes: list[int]) -> None:
    out, trim = trimmed(pcm(*parts), sizes)
    whole, at_once = trimmed(pcm(*parts))
    assert (out, trim.cut, trim.passed, trim.given) == (whole, at_once.cut, at_once.passed, at_once.given)


@given(PARTS, st.integers(1, 200))
def test_no_sound_is_cut_and_the_edges_are_short(parts: list[tuple[int, int]], bound_ms: int) -> None:
    data = pcm(*parts)
    out, trim = trimmed(data, bound_ms=bound_ms)
    before, after = (np.frombuffer(part, "<i2").astype(int) for part in (data, out))
    loud_before, loud_after = (np.flatnonzero(abs(samples) > SILENT) for samples in (before, after))
    assert np.array_equal(before[loud_before], after[loud_after])
    assert bool(len(after)) == bool(len(before))
    assert np.array_equal(before[trim.cut : trim.cut + len(after)], after), "it is not one part of the input"
    if len(loud_after):
        assert loud_after[0] <= bound_ms
        trailing = len(before) - 1 - loud_before[-1]
        if trailing <= HELD_MS + bound_ms:
            assert len(after) - 1 - loud_after[-1] <= bound_ms
    elif len(before) <= LEAD_MS + HELD_MS:
        assert len(after) <= bound_ms


def test_sound_is_passed_on_at_once() -> None:
    trim = EdgeTrim(RATE_HZ, BOUND_MS)
    assert trim.push(pcm((0, 50))) == b""
    assert len(trim.push(pcm((0, 50), (9_000, 5)))) == 2 * 35
    assert trim.push(pcm((9_000, 5))) == pcm((9_000, 5))
    assert trim.push(pcm((9_000, 5), (0, 5))) == pcm((9_000, 5))
    assert trim.push(pcm((9_000, 5))) == pcm((0, 5), (9_000, 5))


def test_an_engine_of_endless_silence_is_passed_on() -> None:
    trim = EdgeTrim(RATE_HZ, BOUND_MS)
    passed = sum(len(trim.push(pcm((0, 1_000)))) for _ in range(60))
    assert passed >= 2 * 1_000 * (60 - 2 - 10 - 1)
