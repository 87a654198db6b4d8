"""Which pieces of text are deleted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS
from orastream.contract.subjects import MAX_TOKEN_CHARS
from orastream.contract.text_pieces import MAX_PIECES
from orastream.jetstream.stream_limits import BYTES_PER_CHAR
from services.synth.text.text_fate import (
    LARGEST_TEXT_BYTES,
    ORPHAN_S,
    PRESSED_ORPHAN_S,
    Ages,
    Fate,
    fate,
    is_pressed,
    orphan_age_s,
    too_large_bytes,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("final", "requested"), list(itertools.product((None, False, True), (False, True))))
def test_text_is_kept_while_its_request_waits_or_is_in_progress(final: bool | None, requested: bool) -> None:
    of = fate(final=final, requested=requested)
    assert (of is Fate.LATE) == (final is True)
    assert (of is Fate.ORPHAN) == (final is None and not requested)


def test_pieces_without_a_request_have_less_time_while_others_need_the_room() -> None:
    assert orphan_age_s(pressed=False) == ORPHAN_S > orphan_age_s(pressed=True) == PRESSED_ORPHAN_S
    assert not is_pressed(512, 1024) and is_pressed(513, 1024)


def test_text_within_the_limits_is_never_too_large() -> None:
    """65 536 pieces, each in the largest subject and with the headers of our clients."""
    piece = 2 * MAX_TOKEN_CHARS + 300
    assert MAX_PIECES * piece + BYTES_PER_CHAR * DEFAULT_MAX_TEXT_CHARS < LARGEST_TEXT_BYTES <= too_large_bytes(1)
    assert too_large_bytes(1 << 30) == 128 << 20


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50)), max_size=40),
    st.sampled_from([PRESSED_ORPHAN_S, ORPHAN_S]),
)
def test_no_message_counts_as_older_than_it_is(steps: list[tuple[float, int]], age_s: float) -> None:
    """`steps` are the seconds until the next note, and the messages stored until then."""
    ages, now, sequence = Ages(), 100.0, 1_000
    stored_at: dict[int, float] = {}
    for wait_s, messages in steps:
        now += wait_s
        for _ in range(messages):
            sequence += 1
            stored_at[sequence] = now
        ages.note(now, sequence)
        old = ages.old_seq(now, age_s)
        assert all(now - at >= age_s for seq, at in stored_at.items() if seq <= old)
        if now - 100.0 > age_s + 60 and wait_s <= 30 and len(stored_at) > 0:
            assert old == 0 or old >= 1_000


def test_what_is_old_is_found_when_looks_are_regular() -> None:
    ages = Ages()
    for second in range(0, 300, 5):
        ages.note(float(second), second)
    assert ages.old_seq(299.0, 60) == 235
    assert ages.old_seq(299.0, 5) == 290


def test_another_stream_begins_anew() -> None:
    ages = Ages()
    ages.note(0.0, 500)
    ages.note(61.0, 100)
    assert ages.old_seq(62.0, 60) == 0
