"""When progress is published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.rules.progress_pace import ANSWER_S, EVERY_S, FIRST_S, PAUSE_S, UNCHANGED_S, ProgressPace

LATE_S = 0.01
"""After how long a 503 comes in these tests."""


class Simulation:
    """A session with its timer, and a server that answers 503 to what nobody watches."""

    def __init__(self, watched: set[int]) -> None:
        self.pace = ProgressPace()
        self.watched = watched
        self.now = 0.0
        self.published: list[tuple[float, int]] = []
        self.looks = 0
        self._answers: list[tuple[float, int]] = []
        self.changes = True

    def run_until(self, end: float) -> None:
        while True:
            due = self.pace.next_time()
            answer = self._answers[0][0] if self._answers else None
            at = min((time for time in (due, answer) if time is not None), default=None)
            if at is None or at > end:
                break
            self.now = max(self.now, at)
            if answer is not None and answer <= self.now:
                self.pace.nobody_watches(self._answers.pop(0)[1], self.now)
                continue
            self._look()
        self.now = max(self.now, end)

    def _look(self) -> None:
        self.looks += 1
        due = self.pace.due(self.now)
        assert due, "the timer is never early"
        for sequence in due:
            if not (self.changes or self.pace.must_publish(sequence, self.now)):
                self.pace.unchanged(sequence, self.now)
                continue
            self.pace.published(sequence, self.now)
            self.published.append((self.now, sequence))
            if sequence not in self.watched:
                self._answers.append((self.now + LATE_S, sequence))

    def times(self, sequence: int | None = None) -> list[float]:
        return [at for at, of in self.published if sequence in (None, of)]


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in zip(times, times[1:], strict=False)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "watch", "leave"]), st.integers(1, 4), st.floats(0, 7)), max_size=30
)


@given(STEPS)
def test_messages_about_an_utterance_keep_their_distance_and_watchers_get_them(
    steps: list[tuple[str, int, float]],
) -> None:
    world = Simulation(set())
    began: dict[int, float] = {}
    for what, sequence, wait_s in steps:
        if what == "add" and sequence not in began:
            world.pace.add(sequence, world.now)
            began[sequence] = world.now
        elif what == "remove":
            world.pace.remove(sequence)
        elif what == "watch":
            world.watched.add(sequence)
        elif what == "leave":
            world.watched.discard(sequence)
        world.run_until(world.now + wait_s)
    for sequence in began:
        assert all(gap >= EVERY_S - 1e-9 for gap in gaps(world.times(sequence)))
    for sequence in began:  # who watches long enough gets messages, however many utterances nobody watches
        world.watched.add(sequence)
    world.run_until(world.now + (len(began) + 1) * PAUSE_S)
    counts = {sequence: len(world.times(sequence)) for sequence in began if sequence in world.pace}
    world.run_until(world.now + 1.0)
    for sequence, count in counts.items():
        assert len(world.times(sequence)) >= count + 3


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 9)), max_size=40))
def test_without_a_watcher_one_message_is_published_in_five_seconds(steps: list[tuple[bool, float]]) -> None:
    """However many utterances begin and end."""
    world = Simulation(set())
    for number, (adds, wait_s) in enumerate(steps):
        if adds:
            world.pace.add(number, world.now)
        else:
            world.pace.remove(number - 1)
        world.run_until(world.now + wait_s)
    assert all(gap >= PAUSE_S - 1e-9 for gap in gaps(world.times()))
    assert world.looks == len(world.published), "the timer has no other work"


def test_a_watcher_gets_the_first_message_soon_and_then_every_quarter_of_a_second() -> None:
    world = Simulation({1})
    world.pace.add(1, world.now)
    world.run_until(FIRST_S + 1.6)
    second = FIRST_S + ANSWER_S
    assert world.times() == pytest.approx([FIRST_S, second, *(second + EVERY_S * number for number in range(1, 5))])


def test_who_subscribes_just_after_the_first_audio_does_not_wait_for_the_next_probe() -> None:
    world = Simulation(set())
    world.pace.add(1, world.now)
    world.run_until(FIRST_S / 2)
    world.watched.add(1)
    world.run_until(1.0)
    assert len(world.times(1)) >= 2


def test_the_pause_lasts_over_the_end_of_an_utterance() -> None:
    world = Simulation(set())
    world.pace.add(1, world.now)
    world.run_until(2.0)
    world.pace.remove(1)
    world.pace.add(2, world.now)
    world.run_until(FIRST_S + 4.9)
    assert world.times() == [FIRST_S]
    world.run_until(FIRST_S + 5.1)
    assert world.published[1:] == [(FIRST_S + PAUSE_S + LATE_S, 2)]


def test_a_watched_session_is_not_paused_for_the_next_utterance() -> None:
    world = Simulation({1, 2})
    world.pace.add(1, world.now)
    world.run_until(2.0)
    world.pace.remove(1)
    world.run_until(3.0)
    world.pace.add(2, world.now)
    world.run_until(3.0)
    assert world.times(2) == [3.0]


def test_a_503_for_one_utterance_does_not_pause_another_that_is_watched() -> None:
    world = Simulation({2})
    world.pace.add(1, world.now)
    world.run_until(1.0)
    world.pace.add(2, world.now)
    world.run_until(12.0)
    assert len(world.times(2)) > 20
    assert len(world.times(1)) <= 3


def test_what_does_not_change_is_published_every_two_seconds() -> None:
    world = Simulation({1})
    world.pace.add(1, world.now)
    world.run_until(1.0)
    world.changes = False
    count = len(world.published)
    world.run_until(9.0)
    assert 3 <= len(world.published) - count <= 4
    assert min(gaps(world.times()[count:])) >= UNCHANGED_S - 1e-9


def test_while_nothing_can_be_published_it_looks_every_five_seconds() -> None:
    pace = ProgressPace()
    pace.add(1, 0.0)
    assert (pace.due(0.0), pace.due(FIRST_S)) == ([], [1])
    pace.failed(FIRST_S)
    assert (pace.due(5.0), pace.next_time()) == ([], FIRST_S + PAUSE_S)
    assert not pace.watched(1)


def test_a_late_503_about_an_unknown_utterance_changes_nothing() -> None:
    pace = ProgressPace()
    pace.nobody_watches(7, 1.0)
    pace.add(1, 0.0)
    assert pace.due(1.0) == [1]
