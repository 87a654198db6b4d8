"""The pieces of a sentence, and the order of work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.vits.pieces import CONTEXT, FIRST, MOST, context_of, pieces_of
from services.synth.engines.vits.turns import Turn, next_group, wait_s

pytestmark = pytest.mark.unit


@given(frames=st.integers(0, 5_000), context=st.integers(0, 40))
def test_pieces_cover_every_frame_once(frames: int, context: int) -> None:
    pieces = pieces_of(frames, context)
    assert [frame for piece in pieces for frame in range(piece.first, piece.last)] == list(range(frames))
    for piece in pieces:
        assert piece.begin == max(piece.first - context, 0)
        assert piece.end == min(piece.last + context, frames)
        assert piece.frames == piece.end - piece.begin > 0
        assert piece.last - piece.first < MOST + FIRST // 2


@given(frames=st.integers(FIRST * 2, 5_000))
def test_first_piece_is_small_and_later_pieces_grow(frames: int) -> None:
    sizes = [piece.last - piece.first for piece in pieces_of(frames)]
    assert sizes[0] == FIRST
    assert all(
        later == min(earlier + earlier // 2, MOST) for earlier, later in zip(sizes[:-1], sizes[1:-1], strict=False)
    )


def test_context_covers_the_reach_of_the_decoder_of_mms() -> None:
    usual = ((8, 8, 2, 2), (16, 16, 4, 4), (3, 7, 11), ((1, 3, 5),) * 3)
    assert context_of(*usual) == CONTEXT == 16
    further = ((4, 4), (16, 16), (3, 7, 15), ((1, 3, 9),) * 3)
    assert context_of(*further) > CONTEXT


def turn(due_s: float, kind: str | None = "a", asked_s: float = 0.0) -> Turn:
    return Turn(due_s=due_s, asked_s=asked_s, kind=kind)


def test_next_group_contains_the_first_due_piece_and_others_of_its_kind() -> None:
    late, soon, other, alone = turn(5.0), turn(2.0), turn(1.0, "b"), turn(3.0, None)
    assert next_group([], 4) == []
    assert next_group([late, soon, other, alone], 4) == [other]
    assert next_group([late, alone, soon], 4) == [soon, late]
    assert next_group([late, alone, soon], 1) == [soon]
    assert next_group([late, alone], 4) == [alone]
    assert next_group([turn(0, None), turn(0, None)], 4) == [turn(0, None)], "pieces without a kind were grouped"


@given(
    st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["a", "b", None]), st.floats(0, 9)), min_size=1, max_size=12),
    st.integers(1, 5),
)
def test_next_group_is_bounded_and_in_the_order_of_due_times(
    waiting: list[tuple[float, str | None, float]], most: int
) -> None:
    turns = [turn(*one) for one in waiting]
    group = next_group(turns, most)
    assert 1 <= len(group) <= most
    assert min(one.due_s for one in turns) == group[0].due_s
    assert len({one.kind for one in group}) == 1
    assert group[0].kind is not None or len(group) == 1
    left = [one.due_s for one in turns if one.kind == group[0].kind and all(one is not taken for taken in group)]
    assert group[0].kind is None or not left or len(group) == most and min(left) >= group[-1].due_s


def test_wait_s_is_zero_when_no_other_sentence_can_join() -> None:
    group = [turn(0, asked_s=10.0)]
    assert wait_s(group, most=4, sentences=3, bound_s=0.5, now=10.2) == pytest.approx(0.3)
    assert wait_s(group, most=4, sentences=3, bound_s=0.5, now=11.0) == 0
    assert wait_s(group, most=4, sentences=1, bound_s=0.5, now=10.2) == 0, (
        "it waits, although no other sentence is spoken"
    )
    assert wait_s(group * 2, most=2, sentences=3, bound_s=0.5, now=10.2) == 0, "it waits, although the group is full"
    assert wait_s([turn(0, None, 10.0)], most=4, sentences=3, bound_s=0.5, now=10.2) == 0, (
        "it waits, although a piece without a kind is never grouped"
    )
