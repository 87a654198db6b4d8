"""How far utterances are, from looks at their deliveries and from what the listener hears."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import SpeakRequest
from orastream.contract.spoken_text import SpokenText
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.live_progress import MAX_UTTERANCES, DeliveryFigures, LiveUtterances
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.utterance_effects import Finished

DELIVERED = Finished("delivered", None)


def a_request(sequence: int) -> StoredRequest:
    body = SpeakRequest(text="a", session_id="s", phone_id="p")
    return StoredRequest(sequence, "s", f"r{sequence}", f"r{sequence}", "s", "p", None, "json", 0.0, body, None)


class Delivery:
    """The figures of a delivery, which the test changes, and the phone of its session."""

    def __init__(self) -> None:
        self.now = DeliveryFigures(0.0, 0.0, None, 0, "sent")
        self.listener = Listener()
        self.book = HeardBook(self.listener, recovers=False)
        self.live = LiveUtterances(self.book)

    def change(self, **changes: Any) -> None:
        self.now = self.now._replace(**changes)

    def __call__(self) -> DeliveryFigures:
        return self.now

    def sends(self, seconds: float, at: float, sequence: int = 1) -> None:
        """So much more of the utterance is sent."""
        first, self.now = self.now.sent_s, self.now._replace(sent_s=self.now.sent_s + seconds)
        self.listener.sent(sequence, round(first * 100), round(self.now.sent_s * 100), seconds, at)
        self.book.sent(a_request(sequence), "sent", SpokenText(), self.now.sent_s)
        self.live.begin(a_request(sequence), self)

    def ends(self, sequence: int = 1) -> None:
        self.live.delivery_over(sequence, DELIVERED)
        self.book.ended(sequence, self.now.sent_s)


def test_it_is_played_as_it_comes() -> None:
    to = Delivery()
    to.sends(1.0, 10.0)
    seen = to.live.progress(1, 10.25)
    assert (seen.sent_ms, seen.played_ms, seen.played_by, seen.done) == (1000, 250, "sent", False)
    assert to.live.progress(1, 13.0).played_ms == 1000, "not more than was sent"
    to.sends(3.0, 14.0)
    to.change(acked_s=3.5, total_s=4.0, retransmitted_bytes=7)
    seen = to.live.progress(1, 14.5)
    assert (seen.sent_ms, seen.acked_ms, seen.played_ms, seen.total_ms) == (4000, 3500, 1500, 4000)
    assert seen.retransmitted_bytes == 7
    to.ends()
    to.book.take(16.9, answers=False)
    assert to.live.ended() == [] and not to.live.progress(1, 16.9).done
    to.book.take(17.0, answers=False)
    assert to.live.ended() == [1]
    assert (to.live.progress(1, 17.0).played_ms, to.live.progress(1, 17.0).done) == (4000, True)


def test_without_a_link_the_last_look_says_who_knows_it() -> None:
    to = Delivery()
    to.change(played_by="played")
    to.sends(2.0, 10.0)
    to.live.progress(1, 10.0)
    to.change(played_by=None, sent_s=0.0)
    seen = to.live.progress(1, 11.0)
    assert (seen.sent_ms, seen.played_ms, seen.played_by) == (2000, 1000, "played")


def test_a_cancel_ends_it_with_what_was_heard() -> None:
    to = Delivery()
    to.sends(5.0, 10.0)
    to.book.cancel(StoredCancel.of_session(5, "s", 0.0))
    to.book.take(12.0, answers=True)
    to.ends()
    assert not to.live.progress(1, 12.1).done, "the answer of OraServer is awaited"
    to.book.answered(5, {1: 1800}, 12.2)
    seen = to.live.progress(1, 12.2)
    assert (seen.done, seen.played_ms, seen.sent_ms) == (True, 1800, 5000)


def test_a_delivery_that_another_owner_goes_on_with_is_forgotten() -> None:
    to = Delivery()
    to.sends(5.0, 10.0)
    to.live.delivery_over(1, None)
    assert to.live.stored(1) is None and to.live.ended() == []


def test_a_delivery_that_begins_again_goes_on() -> None:
    to = Delivery()
    to.sends(5.0, 10.0)
    to.change(acked_s=4.0)
    to.live.progress(1, 10.0)
    again = Delivery()
    to.live.begin(a_request(1), again)
    seen = to.live.progress(1, 10.0)
    assert (seen.sent_ms, seen.acked_ms) == (5000, 4000)


def test_only_so_many_are_kept() -> None:
    to = Delivery()
    for sequence in range(1, MAX_UTTERANCES + 10):
        to.live.begin(a_request(sequence), to)
    assert to.live.stored(9) is None and to.live.stored(10) is not None


@given(st.lists(st.tuples(st.floats(0.01, 3), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_progress_only_goes_on_and_its_parts_keep_their_order(steps: list[tuple[float, float, float]]) -> None:
    to = Delivery()
    now, before = 0.0, None
    for sent_s, share, wait_s in steps:
        to.sends(sent_s, now)
        to.change(acked_s=max(to.now.acked_s, to.now.sent_s * share))
        now += wait_s
        seen = to.live.progress(1, now)
        assert seen.played_ms is not None
        assert max(seen.acked_ms, seen.played_ms) <= seen.sent_ms
        if before is not None:
            assert seen.sent_ms >= before.sent_ms and seen.acked_ms >= before.acked_ms
            assert seen.played_ms >= (before.played_ms or 0) - 1, "rounded to whole milliseconds"
        before = seen
    to.ends()
    to.book.take(now + to.now.sent_s + 1, answers=False)
    assert to.live.ended() == [1]
