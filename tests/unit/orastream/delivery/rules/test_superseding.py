"""What the owner of a session does with a request that supersedes. The model of a node is in test_session_machine."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioStart
from orastream.contract.report_state import Verdict
from orastream.contract.spoken_text import SpokenText
from orastream.contract.stored_requests import StoredRequest
from orastream.contract.superseding import Supersedes
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.play_time import PlayedUtterance, PlayTimes
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import (
    AnnounceCancel,
    Begin,
    Effect,
    EndPlayed,
    LookUp,
    Stop,
    Tidy,
    WriteHeard,
)
from orastream.delivery.rules.session_outcomes import (
    CancelAnnounced,
    LookedUp,
    Purpose,
    ReportWritten,
    Tidied,
    TidyFailed,
)
from orastream.delivery.rules.speech import Speech, SpeechEnd
from orastream.delivery.rules.streams.listener import Listener
from tests.unit.orastream.delivery.rules.session_messages import request, state

pytestmark = pytest.mark.unit

EPOCH = 7
START = AudioStart(1, "wav", 8000, 1, "espeak", "ko-KR")


def session_with(*stored: StoredRequest, play: PlayTimes | None = None) -> Session:
    session = Session("websocket", EPOCH, Lifetime(30.0), play=play)
    for one in stored:
        session.request(one, 0.0)
    return session


def polled(session: Session, now: float = 0.0) -> list[Effect]:
    """The effects, with each look-up answered at once: nothing is stored under the id."""
    effects = session.poll(now)
    looked_up = [effect for effect in effects if isinstance(effect, LookUp)]
    for effect in looked_up:
        session.apply(LookedUp(effect.entry, None), now)
    rest = [effect for effect in effects if not isinstance(effect, LookUp)]
    return rest + (polled(session, now) if looked_up else [])


def ended(session: Session, entry: Entry, now: float) -> None:
    """The owner has written the report `cancelled` of this request."""
    written = state(entry.stored, "cancelled", entry.report_revision + 1000 + entry.sequence, epoch=EPOCH)
    session.apply(ReportWritten(entry, Purpose.END, Verdict.WRITTEN, written), now)


def test_it_stops_what_is_delivered_when_its_id_is_known_to_be_new() -> None:
    old, new = request(1, "websocket"), request(2, "websocket", requestId="n", supersede=True)
    session = session_with(old)
    begun = polled(session)
    assert begun == [Begin(session.entries[1])]
    session.request(new, 0.0)
    assert session.poll(0.0) == [LookUp(session.entries[2])], "its report is read at once"
    assert not session.entries[1].cancelled
    session.apply(LookedUp(session.entries[2], None), 0.0)
    assert session.poll(0.0) == [Stop(session.entries[1])]


def test_a_duplicate_ends_nothing() -> None:
    old, late = request(2, "websocket"), request(3, "websocket", requestId="n", supersede=True)
    session = session_with(old, late)
    first = request(1, "websocket", requestId="n", supersede=True)
    (look,) = (effect for effect in session.poll(0.0) if isinstance(effect, LookUp))
    session.apply(LookedUp(look.entry, state(first, "delivered", 900)), 0.0)
    session.poll(0.0)
    assert session.entries[3].superseding is Supersedes.NO and not session.entries[2].cancelled


def test_a_copy_ends_nothing_while_an_earlier_one_may_be_claimed() -> None:
    first, old, late = (request(n, "none" if n == 1 else "websocket", **f) for n, f in enumerate(COPIES, 1))
    session = session_with(first, old, late)
    polled(session)
    assert not session.entries[2].cancelled and session.entries[3].superseding is Supersedes.UNKNOWN
    session.report("n", state(first, "synthesizing", 900, "none"), 0.0)
    polled(session)
    assert not session.entries[2].cancelled and session.entries[3].superseding is Supersedes.NO


COPIES: list[dict[str, object]] = [{"requestId": "n"}, {}, {"requestId": "n", "supersede": True}]


def test_it_covers_an_earlier_request_that_is_read_later() -> None:
    session = session_with(request(2, "websocket", supersede=True))
    polled(session)
    assert session.request(request(1, "websocket"), 0.0).cancelled
    assert not session.request(request(3, "websocket"), 0.0).cancelled


def test_one_that_names_an_engine_waits_for_its_claim_and_is_not_begun_before() -> None:
    """Only a synth knows whether it is valid."""
    new = request(2, "websocket", supersede=True, engine="espeak")
    session = session_with(request(1, "http"), new)
    polled(session)
    assert not session.entries[1].cancelled
    session.report(new.token, state(new, "synthesizing", 900), 0.0)
    polled(session)
    assert session.entries[1].cancelled
    alone = session_with(new)
    assert polled(alone) == []
    alone.report(new.token, state(new, "synthesizing", 900), 0.0)
    assert polled(alone) == [Begin(alone.entries[2])]


def test_it_is_tidied_when_what_it_supersedes_is_closed() -> None:
    """Else the next owner would deliver the earlier one. The stream may still have one that this owner has closed."""
    session = session_with(request(1, "websocket"), request(2, "websocket", supersede=True))
    assert polled(session)[-1] == Stop(session.entries[1])
    old, new = session.entries[1], session.entries[2]
    ended(session, new, 1.0)
    assert Tidy(new, just_written=True) not in session.poll(1.0) and session.next_time(1.0) != 1.0
    ended(session, old, 2.0)
    assert session.poll(2.0) == [Tidy(old, just_written=True)]
    session.apply(Tidied(old), 3.0)
    assert session.poll(3.0) == [Tidy(new, just_written=True)]
    session.apply(TidyFailed(new), 3.0)
    assert session.poll(3.5) == [] and not session.may_ack(2, 99)
    assert session.poll(4.1) == [Tidy(new)]
    session.apply(Tidied(new), 4.2)
    assert session.may_ack(2, 0)


@pytest.mark.parametrize("transport", ["websocket", "http", "none"])
def test_it_ends_what_plays(transport: str) -> None:
    play = PlayTimes()
    session = session_with(play=play)
    end = SpeechEnd(Speech("s", "p", "old", "old", "text"), START, "cancelled")
    play.written(1, "old")
    session.played(PlayedUtterance(1, "old", 0.0, 60.0, end))
    session.request(request(2, transport, supersede=True), 1.0)
    effects = polled(session, 1.0)
    assert effects[0] == EndPlayed(end) and effects[1:] == [Begin(session.entries[2])] * (transport == "websocket")


@pytest.mark.parametrize("announces", [False, True])
def test_what_is_heard_is_cut_at_once_also_by_a_request_of_another_transport(announces: bool) -> None:
    """Later the play would be over, and with protocol v2 the listener would have dropped it: all would seem heard."""
    listener, old = Listener(), request(1, "websocket")
    book = HeardBook(listener, recovers=False)
    session = Session("websocket", EPOCH, Lifetime(30.0), announces=announces, heard=book)
    listener.sent(1, 0, 300, 3.0, 100.0)
    book.sent(old, "sent", SpokenText(), 3.0)
    book.ended(1, 3.0)
    polled(session, 100.0)
    session.request(request(2, "http", requestId="n", supersede=True), 101.0)
    effects = polled(session, 101.0)
    announced = [effect for effect in effects if isinstance(effect, AnnounceCancel)]
    assert len(announced) == announces
    if announces:
        session.apply(CancelAnnounced(2), 101.1)
        effects = session.poll(101.1)
    (record,) = (effect.utterance.record(EPOCH) for effect in effects if isinstance(effect, WriteHeard))
    assert (record.done, record.played_ms, record.cancel_seq) == (True, 1000, 2)
