"""Audio that is kept before its delivery begins: all of an utterance from its first message on, or nothing; bounded."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.early_audio import OVERHEAD_BYTES, EarlyAudio, EarlyRoom, Message

pytestmark = pytest.mark.unit

SUBJECTS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), SUBJECTS, st.integers(0, 3000)),
        st.tuples(st.just("take"), SUBJECTS, st.just(0)),
        st.tuples(st.just("clear"), st.just(""), st.just(0)),
        st.tuples(st.sampled_from(["begin", "drop"]), SUBJECTS, st.just(0)),
    ),
    max_size=60,
)


def message(subject: str, size: int) -> Message[None]:
    return (subject, "", b"x" * size, None)


@given(STEPS, st.integers(0, 20_000), st.integers(0, 20_000))
def test_it_returns_all_that_came_or_nothing_and_keeps_within_both_limits(
    steps: list[tuple[str, str, int]], of_session: int, of_process: int
) -> None:
    room = EarlyRoom(of_process)
    early: EarlyAudio[None] = EarlyAudio(room, of_session)
    came: dict[str, list[Message[None]]] = defaultdict(list)
    for what, subject, size in steps:
        if what == "add":
            if subject not in came:
                early.begin(subject)
            came[subject].append(message(subject, size))
            early.add(came[subject][-1])
        elif what == "begin":
            early.begin(subject)
            came[subject] = []
        elif what == "drop":
            early.drop(subject)
        elif what == "take":
            known, kept = subject in early, early.take(subject)
            assert kept == (came[subject] if known else [])
            assert subject not in early
            if known:
                came.pop(subject)
        else:
            early.clear()
            came.clear()
            assert room.left == of_process
        assert of_process - min(of_process, of_session) <= room.left <= of_process
    early.clear()
    assert room.left == of_process


def test_without_room_the_utterance_that_comes_last_is_forgotten_as_a_whole() -> None:
    early: EarlyAudio[None] = EarlyAudio(EarlyRoom(), 3 * OVERHEAD_BYTES)
    early.begin("a")
    early.begin("b")
    for subject in ("a", "a", "b", "b"):
        early.add(message(subject, 0))
    assert len(early.take("a")) == 2
    assert "b" not in early


def test_sessions_share_the_room_of_the_process() -> None:
    room = EarlyRoom(3 * OVERHEAD_BYTES)
    one: EarlyAudio[None] = EarlyAudio(room)
    other: EarlyAudio[None] = EarlyAudio(room)
    for early in (one, other):
        early.begin("a")
        early.add(message("a", 0))
        early.add(message("a", 0))
    assert len(one.take("a")) == 2
    assert "a" not in other


def test_what_was_begun_before_the_one_that_is_taken_is_forgotten() -> None:
    early: EarlyAudio[None] = EarlyAudio(EarlyRoom())
    for subject in ("cancelled", "next", "later"):
        early.begin(subject)
        early.add(message(subject, 1))
    assert len(early.take("next")) == 1
    assert "cancelled" not in early and "later" in early
