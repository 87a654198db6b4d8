"""Which delivered utterances a cancel ends: those that it covers and that still play, each once, in order."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orastream.contract.audio_messages import AudioStart
from orastream.contract.messages import Cancel
from orastream.contract.stored_requests import StoredCancel
from orastream.delivery.rules.play_time import MAX_PLAYED, MAX_PLAYED_CHARS, PlayedUtterance, PlayTimes
from orastream.delivery.rules.speech import Speech, SpeechEnd

pytestmark = pytest.mark.unit

START = AudioStart(1, "wav", 8000, 1, "espeak", "ko-KR")


def played(sequence: int, began_at: float, seconds: float, text: str = "x") -> PlayedUtterance:
    token = f"r{sequence}"
    end = SpeechEnd(Speech("s", "p", token, token, text), START, "cancelled")
    return PlayedUtterance(sequence, token, began_at, seconds, end)


def cancel(sequence: int, request: int | None = None) -> StoredCancel:
    return StoredCancel(sequence, "s", 0.0, Cancel(None if request is None else f"r{request}"))


def ended(play: PlayTimes, now: float) -> list[str]:
    return [end.speech.request_id for end in play.take(now)]


def test_utterances_play_one_after_the_other() -> None:
    play = PlayTimes()
    for number in (1, 2, 3):
        play.written(number, f"r{number}")
        play.delivered(played(number, 100.0 + number / 10, 5.0))
    assert play.until == pytest.approx(115.1) and play.next_time() == pytest.approx(105.1)
    play.cancel(cancel(9))
    assert ended(play, 106.0) == ["r2", "r3"], "the first one is over"
    assert not play and play.until == 106.0
    play.delivered(played(10, 107.0, 2.0))
    assert play.until == 109.0, "after a cancel OraServer plays the next one at once"


def test_an_unreadable_cancel_and_one_stored_before_end_nothing() -> None:
    play = PlayTimes()
    play.written(5, "r5")
    play.delivered(played(5, 100.0, 5.0))
    for stored in (StoredCancel(9, "s", 0.0, None), cancel(4), cancel(9, request=4)):
        play.cancel(stored)
        assert ended(play, 101.0) == []
    assert play


def test_a_cancel_of_one_request_ends_it_unless_a_later_one_has_begun() -> None:
    play = PlayTimes()
    for number in (1, 2):
        play.written(number, f"r{number}")
        play.delivered(played(number, 100.0, 5.0))
    play.cancel(cancel(9, request=1))
    assert ended(play, 101.0) == [], "OraServer could drop the second one"
    play.cancel(cancel(9, request=2))
    assert ended(play, 101.0) == ["r2"] and play.until == 105.0


def test_utterances_end_in_order_whatever_the_order_of_their_cancels() -> None:
    play = PlayTimes()
    for number in (1, 2):
        play.written(number, f"r{number}")
        play.delivered(played(number, 100.0, 5.0))
    for stored in (cancel(9, request=2), cancel(10)):
        play.cancel(stored)
    assert ended(play, 101.0) == ["r1", "r2"]


def test_long_texts_are_not_all_remembered() -> None:
    play = PlayTimes()
    for number in range(4):
        play.written(number, f"r{number}")
        play.delivered(played(number, 100.0, 500.0, "가" * (MAX_PLAYED_CHARS // 2 + 1)))
    play.cancel(cancel(9))
    assert ended(play, 101.0) == ["r3"]
    play.delivered(played(10, 100.0, 500.0, "가" * (MAX_PLAYED_CHARS * 2)))
    play.written(10, "r10")
    play.cancel(cancel(11))
    assert ended(play, 101.0) == ["r10"], "the last one is remembered, however long"


@dataclass(slots=True)
class Playing:
    utterance: PlayedUtterance
    until: float
    ended: bool = False


class PlayMachine(RuleBasedStateMachine):
    """A session whose utterances are written, delivered and cancelled, with a model that forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.play = PlayTimes()
        self.now = 100.0
        self.sequence = 0
        self.all: list[Playing] = []
        self.last: PlayedUtterance | None = None
        self.writing: PlayedUtterance | None = None
        self.cancels: list[StoredCancel] = []
        """Those that `take` has not applied yet."""
        self.newest: StoredCancel | None = None

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    @rule(seconds=st.floats(0.1, 20.0))
    def a_chunk_is_written(self, seconds: float) -> None:
        self.writing = self.last = played(self._next(), self.now, seconds)
        self.play.written(self.last.sequence, self.last.token)

    @precondition(lambda self: self.writing is not None)
    @rule()
    def it_is_delivered(self) -> None:
        assert self.writing is not None
        before = max((one.until for one in self.all), default=0.0)
        until = max(before, self.writing.began_at) + self.writing.seconds
        self.all.append(Playing(self.writing, until))
        self.play.delivered(self.writing)
        self.writing = None
        assert self.play.until == pytest.approx(until)

    @rule(data=st.data(), of_one=st.booleans(), late=st.booleans())
    def a_cancel_is_stored(self, data: st.DataObject, of_one: bool, late: bool) -> None:
        """`late`: it comes after an utterance that it does not cover."""
        sequence = max(self.sequence - 1, 1) if late else self._next()
        request = data.draw(st.integers(1, max(self.sequence, 1))) if of_one else None
        self.newest = cancel(sequence, request)
        self._cancel()

    def _cancel(self) -> None:
        """A cancel that comes before the first delivery ends is for the session to remember."""
        if self.newest is not None:
            self.cancels += [self.newest] if self.play else []
            self.play.cancel(self.newest)

    @rule()
    def the_last_cancel_comes_again(self) -> None:
        self._cancel()
        self._take()

    @rule(passed_s=st.sampled_from([0.5, 3.0, 30.0]))
    def time_passes(self, passed_s: float) -> None:
        self._take()
        self.now += passed_s
        self.play.forget(self.now)

    def _take(self) -> None:
        found = self.play.take(self.now)
        self.all = [one for one in self.all if one in self.all[-MAX_PLAYED:] or one.ended]
        of_last = [one for one in self.cancels if self.last is None or one.covers(self.last.sequence, self.last.token)]
        remembered = [one for one in self.all if not one.ended and one.until > self.now]
        covered = [
            one
            for one in remembered
            if any(stored.covers(one.utterance.sequence, one.utterance.token) for stored in of_last)
        ]
        names = [end.speech.request_id for end in found]
        assert names == [one.utterance.token for one in covered], "those that play, in order"
        for one in covered:
            one.ended, one.until = True, self.now
        self.cancels.clear()

    @invariant()
    def it_remembers_few(self) -> None:
        assert len(self.play._played) <= MAX_PLAYED


TestPlayMachine = PlayMachine.TestCase
