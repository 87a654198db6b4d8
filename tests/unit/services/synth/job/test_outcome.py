"""Which errors of an engine are worth another attempt at the same request, and after how many attempts it fails."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.base import CannotResume, EngineCrashed, EngineError, NoAudio, UnknownVoice
from services.synth.job.outcome import MAX_FAILED_ATTEMPTS, FailedAttempts, Reached, worth_retrying

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EngineCrashed("killed"), True),
        (EngineError("out of memory"), True),
        (NoAudio("no sample"), True),
        (UnknownVoice("no voice 'x'"), False),
        (CannotResume("flac cannot be resumed"), False),
    ],
)
def test_worth_retrying_depends_on_the_error(error: EngineError, expected: bool) -> None:
    assert worth_retrying(error) is expected


def test_cannot_resume_is_retryable_for_the_sender() -> None:
    """CannotResume is retryable for the sender, whose new request begins a new file."""
    assert CannotResume("flac cannot be resumed").retryable


# ---- failed attempts


@dataclass(frozen=True)
class Tried:
    """An attempt that has ended without an `end`."""

    chunks: int = 0
    """Number of new chunks."""
    sentences: int = 0
    """By how many sentences the stored audio is longer."""
    waited: bool = False


class History:
    """The stored audio of a request, and the job that makes the attempts from a certain one on."""

    def __init__(self, *, exact: bool = True) -> None:
        self.failed = FailedAttempts()
        self._exact = exact
        self._chunks = self._sentence = self._barren = 0

    def open(self) -> int:
        """Open the next attempt. Returns the count."""
        self.failed.on_opened(Reached(self._chunks, self._sentence, self._exact), self._barren)
        return self.failed.in_a_row

    def store(self, tried: Tried) -> None:
        """Store what an attempt stores. `without_progress` is counted as AudioReader counts it."""
        self._chunks += tried.chunks
        self._sentence += tried.sentences
        self._barren = 0 if tried.chunks else self._barren + (not tried.waited)

    def fail(self, tried: Tried) -> int:
        """Let the attempt of this job fail, and open the next one. Returns the count."""
        self.store(tried)
        self.failed.on_failed()
        return self.open()


def test_an_attempt_that_fails_without_a_chunk_counts_once() -> None:
    history = History()
    assert [history.open(), *(history.fail(Tried()) for _ in range(3))] == [0, 1, 2, 3]
    assert history.failed.too_many


def test_a_new_chunk_sets_the_count_back() -> None:
    history = History()
    tried = [Tried(), Tried(), Tried(chunks=1), Tried(), Tried(chunks=7), Tried(), Tried(), Tried()]
    assert [history.open(), *map(history.fail, tried)] == [0, 1, 2, 0, 1, 0, 1, 2, 3]


def test_attempts_of_another_synth_count_while_they_are_the_latest() -> None:
    for before, expected in (
        ([Tried(), Tried()], 2),
        ([Tried(), Tried(), Tried(chunks=1)], 0),
        ([Tried(waited=True)], 0),
    ):
        history = History()
        for tried in before:
            history.store(tried)
        assert (history.open(), history.fail(Tried())) == (expected, expected + 1)


def test_a_failure_after_waiting_for_text_counts() -> None:
    history = History()
    assert [history.open(), history.fail(Tried(waited=True)), history.fail(Tried())] == [0, 1, 2]


def test_a_sentence_that_is_spoken_again_is_no_progress() -> None:
    """Else an engine that always breaks off inside one sentence would store its beginning without end."""
    history = History(exact=False)
    tried = [Tried(chunks=1), Tried(chunks=4, sentences=1), *[Tried(chunks=2)] * 3]
    assert [history.open(), *map(history.fail, tried)] == [0, 1, 0, 1, 2, 3]


def test_lost_audio_is_no_progress() -> None:
    failed = FailedAttempts()
    for count in range(MAX_FAILED_ATTEMPTS):
        failed.on_opened(Reached(0, 0, exact=True), 0)
        assert (failed.in_a_row, failed.too_many) == (count, False)
        failed.on_failed()
    failed.on_opened(Reached(0, 0, exact=True), 0)
    assert failed.too_many


TRIED = st.builds(Tried, chunks=st.integers(0, 2), waited=st.booleans())


@given(others=st.lists(TRIED, max_size=8), own=st.lists(TRIED, max_size=8))
def test_it_counts_the_attempts_since_the_last_new_chunk(others: list[Tried], own: list[Tried]) -> None:
    """All of this job's; of another synth's those that had text to speak: one that waited may have been handed back."""
    history, expected = History(), 0
    for tried in others:
        history.store(tried)
        expected = 0 if tried.chunks else expected + (not tried.waited)
    assert history.open() == expected
    for tried in own:
        expected = 0 if tried.chunks else expected + 1
        assert history.fail(tried) == expected
        assert history.failed.too_many is (expected >= MAX_FAILED_ATTEMPTS)
