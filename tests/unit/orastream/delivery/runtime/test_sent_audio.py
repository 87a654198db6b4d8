"""What a delivery over protocol v1 gives the clock of the listener: each piece of audio once, also in coded formats."""

from __future__ import annotations

from typing import cast

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.messages import SpeakRequest
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.runtime.sent_audio import SentAudio
from orastream.delivery.sink import Link

pytestmark = pytest.mark.unit

BODY = SpeakRequest(text="a", session_id="s", phone_id="p")
STORED = StoredRequest(5, "s", "r", "r", "s", "p", None, "json", 0.0, BODY, None)


class PlainLink:
    """Of a link, what `SentAudio` reads."""

    resuming = None


BEGAN_AT = 97.5
"""When the play began, if an earlier owner has sent the first part."""
LINK = cast(Link, PlainLink())


def begun(**rules: object) -> tuple[SentAudio, Listener, HeardBook]:
    listener = Listener()
    book = HeardBook(listener, recovers=False)
    machine = UtteranceDelivery(5, DeliveryRules(**rules), 0.0)  # type: ignore[arg-type]
    return SentAudio(book, listener, STORED, machine, BEGAN_AT), listener, book


def chunk(index: int, offset: int, size: int, pts_ms: int) -> AudioChunk:
    return AudioChunk(attempt=1, index=index, sentence=0, pts_ms=pts_ms, audio=bytes(size), offset=offset)


def test_each_piece_counts_once() -> None:
    sent, listener, book = begun()
    start = AudioStart(5, "pcm16", 1000, 1, "espeak", "ko-KR")
    for index, at in ((0, 100.0), (1, 100.0), (0, 100.5), (1, 100.5)):  # written again after a break
        sent.wrote(LINK, start, chunk(index, index * 2000, 2000, index * 1000), at)
    assert listener.lead_s(100.5) == 1.5
    assert book.played_ms(5, 101.25) == 1250
    sent.completed(LINK, AudioEnd(1, "complete", 2, 4000, 2.0), 101.0)
    assert listener.lead_s(101.0) == 1.0


def test_a_delivery_that_is_taken_over_plays_on() -> None:
    """Of the 3 s that the owner before has sent, 0.5 s are not played when this one goes on."""
    sent, listener, book = begun()
    start = AudioStart(5, "pcm16", 1000, 1, "espeak", "ko-KR")
    for again in range(2):
        sent.wrote(LINK, start, chunk(3, 6000, 2000, 3000), 100.0 + again / 10)
        assert listener.lead_s(100.0) == 1.5 and book.played_ms(5, 100.25) == 2750


def test_a_delivery_that_is_taken_over_late_begins_where_it_goes_on() -> None:
    """The 3 s that the owner before has sent were played at 100.5 s."""
    sent, listener, book = begun()
    start = AudioStart(5, "pcm16", 1000, 1, "espeak", "ko-KR")
    sent.wrote(LINK, start, chunk(3, 6000, 2000, 3000), 102.0)
    assert listener.lead_s(102.0) == 1.0 and book.played_ms(5, 102.5) == 3500


def test_the_end_of_a_coded_chunk_is_estimated_until_the_next_one_comes() -> None:
    sent, listener, _ = begun()
    start = AudioStart(5, "opus", 24_000, 1, "espeak", "ko-KR")
    sent.wrote(LINK, start, chunk(0, 0, 6000, 0), 100.0)
    assert listener.lead_s(100.0) == pytest.approx(1.0), "about 6 000 bytes a second"
    sent.wrote(LINK, start, chunk(1, 6000, 6000, 2000), 100.0)
    assert listener.lead_s(100.0) == pytest.approx(4.0), "3 000 bytes a second so far"
    sent.completed(LINK, AudioEnd(1, "complete", 2, 12_000, 4.5), 100.0)
    assert listener.lead_s(100.0) == pytest.approx(4.5)


def test_of_a_whole_file_nothing_is_known() -> None:
    sent, listener, book = begun(confirm_every=None)
    start = AudioStart(5, "pcm16", 1000, 1, "espeak", "ko-KR")
    sent.wrote(LINK, start, chunk(0, 0, 2000, 0), 100.0)
    assert book.take(100.0, answers=False) == []
    for _ in range(2):  # the second one is a retry
        sent.completed(LINK, AudioEnd(1, "complete", 1, 2000, 1.0), 100.0)
    (utterance,) = book.take(100.0, answers=False)
    assert utterance.record(7).heard_by == "unknown" and listener.lead_s(100.0) == 0
