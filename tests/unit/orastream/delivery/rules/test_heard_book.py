"""What was heard of the utterances of a session: at the end of their play, at cancels, after a take-over."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.heard import Heard
from orastream.contract.messages import Cancel, SpeakRequest
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.spoken_text import SpokenText
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.contract.word_time import WordTime
from orastream.delivery.rules.heard_book import ANSWER_S, KEPT_S, MAX_CHARS, MAX_UTTERANCES, HeardBook, PlayingUtterance
from orastream.delivery.rules.streams.listener import Listener

pytestmark = pytest.mark.unit

TEXT = "one two three."
"""Three words, of which each is spoken for one second."""


def request(sequence: int, text: str = TEXT, **fields: object) -> StoredRequest:
    body = SpeakRequest(text=text, session_id="s", phone_id="p", **fields)  # type: ignore[arg-type]
    return StoredRequest(sequence, "s", f"r{sequence}", f"r{sequence}", "s", "p", None, "json", 0.0, body, None)


def spoken() -> SpokenText:
    words = [
        WordTime(0, first, end, i * 1000, i * 1000 + 1000) for i, (first, end) in enumerate([(0, 3), (4, 7), (8, 13)])
    ]
    chunk = AudioChunk(1, 0, 0, 0, b"", sentences=(SentenceStart(0, 0, TEXT, 0, len(TEXT)),), words=tuple(words))
    found = SpokenText()
    found.add(chunk)
    return found


def cancel(sequence: int, request: int | None = None) -> StoredCancel:
    return StoredCancel(sequence, "s", 0.0, Cancel(None if request is None else f"r{request}"))


@dataclass
class OwnedBook:
    """A book, and what its owner does with it."""

    listener: Listener = field(default_factory=Listener)
    book: HeardBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = HeardBook(self.listener, recovers=False)

    def sent(self, sequence: int, now: float, seconds: float = 3.0, by: str = "sent", *, end: bool = True) -> None:
        """All of an utterance is sent at once; with `end` it is complete."""
        self.listener.sent(sequence, 0, round(seconds * 100), seconds, now)
        self.book.sent(request(sequence), by, spoken(), seconds)  # type: ignore[arg-type]
        if end:
            self.book.ended(sequence, seconds)

    def records(self, now: float, *, answers: bool = False) -> dict[str, Heard]:
        """The records that `take` returns."""
        return {one.request_id: one.record(7) for one in self.book.take(now, answers=answers)}


def test_the_record_is_written_at_the_first_audio_and_when_it_has_been_played() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, end=False)
    (begun,) = owned.records(100.0).values()
    assert begun == Heard(request_id="r1", session_id="s", request_seq=1, epoch=7, done=False, heard_by="sent")
    assert owned.book.next_time() is None, "more of it may be sent"
    owned.book.ended(1, 3.0)
    assert owned.book.next_time() == owned.book.until == 103.0 or owned.records(100.0) == {}
    assert owned.records(102.9) == {} and owned.book.until == 103.0
    (record,) = owned.records(103.0).values()
    assert (record.done, record.played_ms, record.heard_text, record.unheard_text) == (True, 3000, TEXT, "")
    assert record.cancel_seq is record.cut is None
    assert owned.records(110.0) == {} and owned.book.next_time() is None


def test_a_cancel_cuts_what_plays_and_what_follows() -> None:
    owned = OwnedBook()
    for sequence in (1, 2, 3):
        owned.sent(sequence, 100.0)
    owned.records(100.0)
    owned.book.cancel(cancel(9))
    found = owned.records(104.5)
    assert [found[f"r{i}"].played_ms for i in (1, 2, 3)] == [3000, 1500, 0]
    assert [found[f"r{i}"].cancel_seq for i in (1, 2, 3)] == [None, 9, 9]
    assert [found[f"r{i}"].heard_text for i in (1, 2, 3)] == [TEXT, "one two", ""]
    assert [found[f"r{i}"].unheard_text for i in (1, 2, 3)] == ["", "three.", TEXT]
    assert [found[f"r{i}"].cut for i in (1, 2, 3)] == [None, "words", None]
    owned.sent(10, 105.0)
    assert owned.records(107.9)["r10"].done is False, "after the cancel the phone plays the next one at once"
    assert owned.records(108.0)["r10"].played_ms == 3000


def test_a_cancel_of_one_request_leaves_the_others() -> None:
    owned = OwnedBook()
    for sequence in (1, 2):
        owned.sent(sequence, 100.0)
    owned.book.cancel(cancel(9, request=1))
    found = owned.records(101.0)
    assert (found["r1"].played_ms, found["r1"].cancel_seq, found["r2"].done) == (1000, 9, False)
    assert owned.records(104.0)["r2"].played_ms == 3000, "it began when the first one was cut"


def test_the_answer_of_oraserver_counts_more_than_the_estimate() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    owned.records(100.0)
    owned.book.cancel(cancel(9))
    assert owned.records(101.0, answers=True) == {}, "the answer is awaited"
    owned.book.answered(9, {1: 1234}, 101.1)
    (record,) = owned.records(101.1, answers=True).values()
    assert (record.played_ms, record.heard_by, record.heard_text) == (1234, "played", "one two")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, ("sent", 1000, 9)),  # OraServer does not know it
        ({}, ("played", 3000, None)),  # it had nothing to end: all of it was played
        ({1: 0}, ("played", 0, 9)),
        ({1: 2**53}, ("played", 3000, 9)),  # not more than was sent
    ],
)
def test_answers_to_a_cancel(answer: dict[int, int] | None, expected: tuple[str, int, int | None]) -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    owned.records(100.0)
    owned.book.cancel(cancel(9))
    owned.records(101.0, answers=True)
    owned.book.answered(9, answer, 101.1)
    (record,) = owned.records(101.1, answers=True).values()
    assert (record.heard_by, record.played_ms, record.cancel_seq) == expected


def test_without_an_answer_it_is_estimated_and_a_late_answer_still_counts() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    owned.records(100.0)
    owned.book.cancel(cancel(9))
    assert owned.records(101.0, answers=True) == {} and owned.book.next_time() == 101.0 + ANSWER_S
    (record,) = owned.records(101.0 + ANSWER_S, answers=True).values()
    assert (record.heard_by, record.played_ms, record.cancel_seq) == ("sent", 1000, 9)
    owned.book.answered(9, {1: 800}, 105.0)
    (record,) = owned.records(105.0, answers=True).values()
    assert (record.heard_by, record.played_ms, record.heard_text) == ("played", 800, "one")


def test_a_phone_that_plays_later_than_was_believed() -> None:
    """The record says that all was heard; then a cancel shows that the phone still played."""
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    assert owned.records(103.0)["r1"].played_ms == 3000
    owned.book.cancel(cancel(9))
    assert owned.records(103.2, answers=True) == {}
    owned.book.answered(9, {1: 2500}, 103.3)
    (record,) = owned.records(103.3, answers=True).values()
    assert (record.played_ms, record.cancel_seq, record.heard_text) == (2500, 9, TEXT[:13])
    owned.sent(10, 104.0, by="played")
    owned.records(107.0)
    owned.book.cancel(cancel(19))
    owned.records(107.1, answers=True)
    owned.book.answered(19, {}, 107.2)
    assert owned.records(107.2, answers=True) == {}, "it had been heard to its end"
    owned.records(107.0 + KEPT_S)
    assert not owned.book, "nothing is remembered for longer"


@pytest.mark.parametrize("answered", [(9, 10), (10, 9)])
def test_of_two_cancels_the_answer_that_names_the_utterance_counts(answered: tuple[int, int]) -> None:
    """A caller that cancels and asks again with `supersede`: OraServer has nothing more for the second one."""
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    owned.records(103.0)
    owned.book.cancel(cancel(9))
    owned.book.cancel(cancel(10))
    owned.records(103.2, answers=True)
    for sequence in answered:
        owned.book.answered(sequence, {1: 2500} if sequence == 9 else {}, 103.3)
    (record,) = owned.records(103.3, answers=True).values()
    assert (record.played_ms, record.heard_by, record.cancel_seq) == (2500, "played", 9)


def test_a_record_that_is_done_is_replaced_only_if_less_was_played() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, by="played")
    owned.records(103.0)
    owned.book.cancel(cancel(9))
    owned.records(103.2, answers=True)
    owned.book.answered(9, {1: 3000}, 103.3)
    assert owned.records(103.3, answers=True) == {}


def test_of_a_failed_utterance_what_was_sent_is_heard() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0, 1.5, end=False)
    owned.book.ended(1, None)
    assert owned.records(101.4)["r1"].done is False
    record = owned.records(101.5)["r1"]
    assert (record.played_ms, record.heard_text, record.unheard_text, record.cancel_seq) == (
        1500,
        "one two",
        "three.",
        None,
    )


def test_a_request_of_which_nothing_was_sent() -> None:
    owned = OwnedBook()
    owned.book.never_sent(request(1), 9)
    owned.book.never_sent(request(2, "", text_stream=True), 9)
    found = owned.records(100.0)
    assert [(one.done, one.played_ms, one.heard_text, one.cancel_seq) for one in found.values()] == [
        (True, 0, "", 9)
    ] * 2
    assert [one.unheard_text for one in found.values()] == [TEXT, None]
    owned.sent(3, 100.0)
    owned.records(100.0)
    owned.book.never_sent(request(3), 9)
    assert owned.records(100.1) == {}, "some of it was sent"


def test_unknown_is_said_once() -> None:
    owned = OwnedBook()
    owned.book.unknown(request(1))
    (record,) = owned.records(100.0).values()
    assert (record.done, record.heard_by, record.played_ms, record.heard_text) == (True, "unknown", None, None)
    assert not owned.book


def test_the_first_record_is_taken_apart_and_only_once() -> None:
    owned = OwnedBook()
    owned.book.never_sent(request(1), 9)
    owned.sent(2, 100.0)
    (begun,) = owned.book.take_begun()
    assert (begun.sequence, begun.record(7).done) == (2, False)
    assert owned.book.take_begun() == [] and list(owned.records(100.0)) == ["r1"]
    assert owned.records(103.0)["r2"].done
    assert owned.book.take_begun() == []
    owned.book.unknown(request(3))
    (unknown,) = owned.book.take_begun()
    assert (unknown.record(7).done, unknown.record(7).heard_by) == (True, "unknown")


def test_at_rest_what_nothing_changes_any_more_is_forgotten() -> None:
    owned = OwnedBook()
    owned.sent(1, 100.0)
    owned.records(100.0)
    assert owned.book.forget(200.0) is None and len(owned.book) == 1, "its record is not final"
    owned.records(103.0)
    assert owned.book.forget(103.0) == 103.0 + KEPT_S and len(owned.book) == 1
    assert owned.book.forget(103.0 + KEPT_S) is None and not owned.book


def left(sequence: int, plays_until: float) -> PlayingUtterance:
    utterance = PlayingUtterance.of(request(sequence))
    utterance.begun, utterance.sent_all, utterance.plays_until = True, True, plays_until
    utterance.sent_ms = utterance.audio_ms = 3000
    utterance.spoken = spoken()
    return utterance


def test_cancels_wait_until_the_records_of_an_earlier_owner_are_read() -> None:
    book = HeardBook(Listener())
    book.cancel(cancel(9))
    assert book.take(100.0, answers=True) == []
    book.answered(9, {2: 700}, 100.1)
    book.recovered([left(2, 102.0), left(1, 99.0)])
    found = {one.request_id: one.record(7) for one in book.take(100.2, answers=True)}
    assert (found["r1"].played_ms, found["r1"].cancel_seq) == (3000, None), "its play was over"
    assert (found["r2"].played_ms, found["r2"].heard_by, found["r2"].cancel_seq) == (700, "played", 9)


def test_an_utterance_that_this_owner_sends_on_is_no_more_the_earlier_ones() -> None:
    owned = OwnedBook()
    owned.book = HeardBook(owned.listener)
    owned.book.recovered([left(1, 103.0)])
    owned.listener.sent(1, 200, 300, 1.0, 101.0)
    owned.book.sent(request(1), "sent", spoken(), 3.0)
    assert owned.book.take(101.0, answers=False) == [], "its record is there"
    (utterance,) = owned.book.take(102.0, answers=False)
    assert utterance.record(7).played_ms == 3000


def test_what_an_earlier_owner_has_left_plays_one_after_the_other() -> None:
    """All three were sent at 100 s, within a moment, and each lasts for 3 s."""
    book = HeardBook(Listener())
    book.recovered([left(sequence, 103.0) for sequence in (3, 1, 2)])
    book.cancel(cancel(9))
    found = {one.request_id: one.record(7) for one in book.take(104.5, answers=False)}
    assert {name: one.played_ms for name, one in found.items()} == {"r1": 3000, "r2": 1500, "r3": 0}
    assert (found["r1"].cancel_seq, found["r2"].cancel_seq, found["r3"].cancel_seq) == (None, 9, 9)


@pytest.mark.parametrize("read_first", [True, False])
def test_a_new_utterance_plays_after_what_an_earlier_owner_has_left(read_first: bool) -> None:
    """It is sent at 101 s, before or after the records are read. The earlier ones play until 106 s."""
    owned = OwnedBook()
    owned.book = HeardBook(owned.listener)
    earlier = [left(1, 103.0), left(2, 103.0)]
    if read_first:
        owned.book.recovered(earlier)
    owned.book.follows(3)
    owned.sent(3, 101.0)
    if not read_first:
        owned.book.recovered(earlier)
    owned.book.follows(3)
    owned.book.cancel(cancel(9))
    found = {one.request_id: one.record(7) for one in owned.book.take(107.0, answers=False)}
    assert {name: one.played_ms for name, one in found.items()} == {"r1": 3000, "r2": 3000, "r3": 1000}


def test_the_number_of_utterances_is_bounded() -> None:
    owned = OwnedBook()
    for sequence in range(1, MAX_UTTERANCES + 10):
        owned.sent(sequence, 100.0)
    found = owned.records(100.0)
    assert [one.request_id for one in found.values() if one.done] == [f"r{number}" for number in range(1, 10)]
    assert all(
        (one.heard_by, one.played_ms, one.cancel_seq) == ("unknown", None, None) for one in found.values() if one.done
    )
    owned.book.cancel(cancel(10_000))
    assert len(owned.records(100.0)) == MAX_UTTERANCES


def test_the_texts_of_utterances_are_bounded() -> None:
    owned = OwnedBook()
    for sequence in (1, 2, 3, 4):
        owned.book.sent(request(sequence, "x" * (MAX_CHARS // 2)), "sent", SpokenText(), 1.0)
    assert len(owned.book) == 2
    owned.book.sent(request(5, "x" * (MAX_CHARS + 1)), "sent", SpokenText(), 1.0)
    assert len(owned.book) == 1, "the last one is always kept"
    assert [one.done for one in owned.records(100.0).values()] == [True] * 4 + [False]


class Phone(RuleBasedStateMachine):
    """A phone that plays at once, in order, and drops what it has at a cancel. The book knows only what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.owned = OwnedBook()
        self.now = 100.0
        self.sequence = 1
        self.sent_ms: dict[int, int] = {}
        self.played_ms: dict[int, int] = {}
        self.ended: set[int] = set()
        self.cut: dict[int, int] = {}
        self.found: dict[int, Heard] = {}
        self.asked: int | None = None

    def _look(self) -> None:
        now = self.now + 1e-6  # sums of floats are not exact
        for name, record in self.owned.records(now, answers=self.asked is not None).items():
            self.found[int(name[1:])] = record

    @rule(seconds=st.integers(1, 50), apart=st.booleans())
    def send(self, seconds: int, apart: bool) -> None:
        number = self.sequence = self.sequence + 1
        self.sent_ms[number], self.played_ms[number] = seconds * 100, 0
        self.owned.sent(number, self.now, seconds / 10, by="played")
        self.ended.add(number)
        if apart:
            self.found |= {one.sequence: one.record(7) for one in self.owned.book.take_begun()}
        self._look()

    @rule(tenths=st.integers(1, 60))
    def plays(self, tenths: int) -> None:
        self.now = round(self.now + tenths / 10, 1)
        left_ms = tenths * 100
        for number in sorted(self.sent_ms):
            if number not in self.cut and left_ms:
                step = min(left_ms, self.sent_ms[number] - self.played_ms[number])
                self.played_ms[number] += step
                left_ms -= step
        self._look()

    @rule(answers=st.booleans())
    def barges_in(self, answers: bool) -> None:
        number = self.sequence = self.sequence + 1
        self.owned.book.cancel(cancel(number))
        cleared = {}
        for one, sent in self.sent_ms.items():
            if one not in self.cut and self.played_ms[one] < sent:
                self.cut[one] = number
                cleared[one] = self.played_ms[one]
        self.asked = number if answers else None
        self._look()
        if answers:
            self.owned.book.answered(number, cleared, self.now)
            self._look()
        self.asked = None

    @precondition(lambda self: self.sent_ms)
    @invariant()
    def records_agree_with_the_phone(self) -> None:
        for number, sent in self.sent_ms.items():
            record, played = self.found[number], self.played_ms[number]
            assert record.done == (number in self.cut or played == sent), (number, record)
            if record.done:
                assert record.played_ms is not None and abs(record.played_ms - played) <= 1, (number, record, played)
                assert record.cancel_seq == self.cut.get(number)


TestPhone = Phone.TestCase
