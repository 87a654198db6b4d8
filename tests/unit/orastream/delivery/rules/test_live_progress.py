"""How far utterances are, from looks at their deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.messages import Cancel
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules.live_progress import MAX_UTTERANCES, DeliveryFigures, LiveUtterances
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.utterance_effects import Finished

DELIVERED, CANCELLED, FAILED = Finished("delivered", None), Finished("cancelled", None), Finished("failed", None)


def a_request(sequence: int) -> StoredRequest:
    return StoredRequest(sequence, "s", f"r{sequence}", f"r{sequence}", "s", "p", None, "json", 0.0, None, None)


def a_cancel(sequence: int, request: str | None = None) -> StoredCancel:
    return replace(StoredCancel.of_session(sequence, "s", 0.0), cancel=Cancel(request))


class Delivery:
    """The figures of a delivery, which the test changes."""

    def __init__(self, began_at: float = 0.0, **changes: Any) -> None:
        self.now = DeliveryFigures(0.0, 0.0, None, 0, began_at, False, "sent")
        self.change(**changes)

    def change(self, **changes: Any) -> None:
        self.now = self.now._replace(**changes)

    def __call__(self) -> DeliveryFigures:
        return self.now


def begun(delivery: Delivery, sequence: int = 1, listener: Listener | None = None) -> LiveUtterances:
    live = LiveUtterances()
    live.begin(a_request(sequence), delivery, listener or Listener())
    return live


def test_without_a_listener_it_is_played_as_it_comes() -> None:
    delivery = Delivery(began_at=10.0, sent_s=1.0)
    live = begun(delivery)
    seen = live.progress(1, 10.25)
    assert (seen.sent_ms, seen.played_ms, seen.played_by, seen.done) == (1000, 250, "sent", False)
    assert live.progress(1, 15.0).played_ms == 1000, "not more than was sent"
    delivery.change(sent_s=4.0, acked_s=3.5, total_s=4.0, began_at=14.0, retransmitted_bytes=7)
    seen = live.progress(1, 15.5)
    assert (seen.sent_ms, seen.acked_ms, seen.played_ms, seen.total_ms) == (4000, 3500, 1500, 4000)
    assert seen.retransmitted_bytes == 7
    live.delivery_over(1, DELIVERED)
    assert live.ended(17.9) == [] and not live.progress(1, 17.9).done
    assert live.ended(18.0) == [1]
    assert (live.progress(1, 18.0).played_ms, live.progress(1, 18.0).done) == (4000, True)


def test_the_next_utterance_begins_when_the_one_before_it_ends() -> None:
    live = begun(Delivery(began_at=0.0, sent_s=3.0))
    live.delivery_over(1, DELIVERED)
    live.begin(a_request(2), Delivery(began_at=1.0, sent_s=2.0), Listener())
    assert live.progress(2, 2.9).played_ms == 0
    assert live.progress(2, 4.0).played_ms == 1000
    live.delivery_over(2, DELIVERED)
    assert live.ended(4.9) == [1] and live.ended(5.0) == [1, 2]


def test_the_listener_says_what_is_played_if_it_knows() -> None:
    listener = Listener()
    delivery = Delivery(sent_s=2.0, by_listener=True, played_by="played")
    listener.sent(1, 0, 100, 2.0, 10.0)
    live = begun(delivery, listener=listener)
    assert (live.progress(1, 10.5).played_ms, live.progress(1, 10.5).played_by) == (500, "played")
    listener.played(1, 100, 1.9, 11.0)
    assert live.progress(1, 11.0).played_ms == 100
    live.delivery_over(1, DELIVERED)
    listener.sent(2, 0, 100, 1.0, 20.0)  # forgets what is played
    assert live.ended(20.0) == [1] and live.progress(1, 20.0).played_ms == 2000


def test_without_a_link_the_last_look_says_who_knows_it() -> None:
    listener = Listener()
    delivery = Delivery(sent_s=2.0, by_listener=True, played_by="played")
    listener.sent(1, 0, 100, 2.0, 10.0)
    live = begun(delivery, listener=listener)
    delivery.change(by_listener=None, played_by="sent", sent_s=0.0)
    seen = live.progress(1, 11.0)
    assert (seen.sent_ms, seen.played_ms, seen.played_by) == (2000, 1000, "played")


def test_a_cancel_cuts_what_is_delivered_and_plays() -> None:
    listener = Listener()
    listener.sent(1, 0, 100, 5.0, 10.0)
    live = begun(Delivery(sent_s=5.0, by_listener=True), listener=listener)
    live.cancel(a_cancel(5))
    assert not live.progress(1, 11.0).done, "its delivery ends first"
    live.delivery_over(1, DELIVERED)  # it was confirmed at the same time
    listener.cancelled(12.0, seq=1)
    seen = live.progress(1, 12.0)
    assert (seen.done, seen.played_ms, seen.sent_ms) == (True, 2000, 5000)


@pytest.mark.parametrize(
    ("cancel", "cut"), [(a_cancel(5), True), (a_cancel(1), False), (a_cancel(5, "r1"), True), (a_cancel(5, "x"), False)]
)
def test_a_cancel_cuts_only_what_it_covers(cancel: StoredCancel, cut: bool) -> None:
    live = begun(Delivery(sent_s=5.0))
    live.delivery_over(1, DELIVERED)
    live.cancel(cancel)
    assert live.progress(1, 1.0).done is cut


def test_how_a_delivery_ends() -> None:
    for finished, done in ((DELIVERED, False), (FAILED, False), (CANCELLED, True)):
        live = begun(Delivery(sent_s=5.0))
        live.delivery_over(1, finished)
        assert live.progress(1, 1.0).done is done, finished
    live = begun(Delivery(sent_s=5.0))
    live.delivery_over(1, None)
    assert live.stored(1) is None and live.ended(9.0) == []


def test_a_delivery_that_begins_again_goes_on() -> None:
    live = begun(Delivery(sent_s=5.0, acked_s=4.0))
    live.progress(1, 0.0)
    live.begin(a_request(1), Delivery(sent_s=1.0), Listener())
    seen = live.progress(1, 0.0)
    assert (seen.sent_ms, seen.acked_ms) == (5000, 4000)


def test_only_so_many_are_kept() -> None:
    live = LiveUtterances()
    for sequence in range(1, MAX_UTTERANCES + 10):
        live.begin(a_request(sequence), Delivery(sent_s=1.0), Listener())
    assert live.stored(9) is None and live.stored(10) is not None


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_progress_only_goes_on_and_its_parts_keep_their_order(steps: list[tuple[float, float, float]]) -> None:
    delivery = Delivery()
    live = begun(delivery)
    now, before = 0.0, None
    for sent_s, share, wait_s in steps:
        sent = delivery.now.sent_s + sent_s
        delivery.change(sent_s=sent, acked_s=max(delivery.now.acked_s, sent * share))
        now += wait_s
        seen = live.progress(1, now)
        assert seen.played_ms is not None
        assert max(seen.acked_ms, seen.played_ms) <= seen.sent_ms
        if before is not None:
            assert seen.sent_ms >= before.sent_ms and seen.acked_ms >= before.acked_ms
            assert seen.played_ms >= (before.played_ms or 0)
        before = seen
    live.delivery_over(1, DELIVERED)
    assert live.ended(now + sum(step[0] for step in steps) + 1) == [1]
