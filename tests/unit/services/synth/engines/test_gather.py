"""Gathered pieces hold the same bytes, the first one is small, and none is larger than the bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.gather import FIRST_BYTES, MAX_BYTES, Gathering

pytestmark = pytest.mark.unit

PIECE = 2648
"""What espeak gives: 60 ms."""


def gathered(pieces: list[bytes]) -> list[bytes]:
    gathering = Gathering()
    return [out for out in [*(gathering.push(pcm) for pcm in pieces), gathering.rest()] if out]


def test_the_first_piece_is_small_and_the_next_ones_grow() -> None:
    sizes = [len(pcm) // PIECE for pcm in gathered([bytes(PIECE)] * 30)]
    assert sizes == [2, 4, 9, 12, 3]


def test_a_large_piece_passes_alone() -> None:
    assert gathered([bytes(MAX_BYTES * 3)]) == [bytes(MAX_BYTES * 3)]


@given(st.lists(st.binary(min_size=1, max_size=MAX_BYTES), max_size=40))
def test_nothing_is_lost_or_held_beyond_the_bounds(pieces: list[bytes]) -> None:
    gathering = Gathering()
    held, out, bound = b"", b"", FIRST_BYTES
    for pcm in pieces:
        held += pcm
        if got := gathering.push(pcm):
            assert got == held and (len(got) <= bound or len(got) <= 2 * len(pcm) or len(got) - len(pcm) <= bound)
            out, held, bound = out + got, b"", MAX_BYTES
        assert len(held) < MAX_BYTES
    assert out + gathering.rest() == b"".join(pieces) and gathering.rest() == b""
