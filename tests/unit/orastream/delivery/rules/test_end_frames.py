"""Who gets an end frame, with which status and text; and where the machine of an utterance writes it."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, EndError
from orastream.contract.errors import Code
from orastream.contract.messages import Report, ReportError, Status
from orastream.contract.report_state import ReportState
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.delivery.rules.end_frames import EndFrameState, ended_as, found_ended, may_have_chunks, status_of
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.play_time import PlayTimes
from orastream.delivery.rules.session import Session
from orastream.delivery.rules.session_effects import EndFound
from orastream.delivery.rules.speech import Speech
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    Confirm,
    CutLink,
    DeliveryRules,
    DropUnsent,
    Effect,
    Finished,
    WriteChunk,
    WriteEnd,
)
from tests.support.names import NAMES
from tests.unit.orastream.delivery.rules.test_cancel_settles import REQUEST, START, effects, writing

pytestmark = pytest.mark.unit

RULES = DeliveryRules(settle_s=0.25, end_frames=True)


def report(status: Status = "delivering", epoch: int = 5, first_audio_ms: float | None = 9.0, **more: object) -> Report:
    fields = {"request_id": "r", "session_id": "s", "request_seq": REQUEST, "status": status, "epoch": epoch}
    return Report.model_validate({**fields, "first_audio_ms": first_audio_ms, **more})


@pytest.mark.parametrize(
    ("stored", "may_have"),
    [
        (None, False),
        (report("synthesizing", 0, None), False),
        (report("synthesizing", 5, None), False),  # a fence
        (report(), True),
        (report("cancelled"), True),
        (report("cancelled", 5, None), False),
        (report("delivered", 0), False),  # `none`: synth has written it
        (report(fallback="http"), False),
    ],
)
def test_a_report_says_whether_chunks_may_have_been_sent(stored: Report | None, may_have: bool) -> None:
    assert may_have_chunks(stored) is may_have


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("cancelled", None, "cancelled"),
        ("failed", "engine_error", "failed"),
        ("failed", "synth_stalled", "failed"),
        ("failed", "oraserver_unreachable", None),
        ("failed", "oraserver_refused", None),
        ("delivered", None, None),
        ("expired", "expired", None),
        ("delivering", None, None),
    ],
)
def test_the_status_of_an_end_frame(status: Status, code: Code | None, expected: str | None) -> None:
    error = None if code is None else ReportError.of(code, "test")
    assert ended_as(status, error) == expected
    assert found_ended(report(status, 5, error=error), 6) == expected
    assert found_ended(report(status, 5, error=error), 5) is None, "this owner has sent it"
    assert found_ended(report(status, 5, None, error=error), 6) is None, "no chunk was written"


def test_a_stored_final_report_says_how_the_utterance_has_ended() -> None:
    assert status_of("cancelled", None, report()) == "cancelled"
    assert status_of("cancelled", None, report("failed")) == "failed"
    assert status_of("cancelled", None, report("delivered")) is None
    unreachable = ReportError.of("oraserver_unreachable", "test")
    assert status_of("cancelled", None, report("failed", error=unreachable)) is None, "as if this owner had failed"


@pytest.mark.parametrize("max_text_chars", [100, 1])
def test_an_earlier_owner_ended_a_request_that_is_too_long_here(max_text_chars: int) -> None:
    """Two bridges with different TTS_MAX_TEXT_CHARS: without the request's text there is no end frame."""
    payload = b'{"text":"One.","sessionId":"s","phoneId":"p","requestId":"r"}'
    stored = read_stored(NAMES, NAMES.session_request("s"), REQUEST, 0.0, payload, max_text_chars=max_text_chars)
    assert isinstance(stored, StoredRequest)
    session = Session("websocket", 9, Lifetime(30.0), play=PlayTimes())
    entry = session.request(stored, 0.0)
    session.report("r", ReportState(report("cancelled", 5, transport="websocket"), 20, 0.0), 0.0)
    found = [effect for effect in session.poll(0.0) if isinstance(effect, EndFound)]
    assert found == ([EndFound(entry, "cancelled")] if max_text_chars == 100 else [])
    for effect in found:
        assert Speech.of(effect.entry.stored, with_rate=False).text == "One."


def test_the_text_is_known_as_far_as_it_was_read() -> None:
    frame = EndFrameState(sent_before=False)
    assert frame.text is None
    frame.read([AudioChunk(1, 0, 0, 0, b"1", "One."), AudioChunk(1, 1, 0, 0, b"1", "One.")])
    frame.read([AudioChunk(1, 2, 0, 1, b"1", "Two.")])
    frame.read([AudioChunk(1, 0, 0, 0, b"1", "One.")])  # it is read again after a break
    assert frame.text == "One. Two."
    whole = EndFrameState(sent_before=False)
    whole.read([AudioChunk(1, 0, 0, 0, b"1")])
    assert whole.text is None, "the request contains it"


def test_it_is_written_before_the_ping_that_confirms() -> None:
    machine = writing(RULES)
    machine.cancel()
    assert effects(machine, 1.0) == [DropUnsent(), WriteEnd(START), Confirm(3, complete=False)]
    machine.confirmed(3, False, 1.01)
    assert effects(machine, 1.01) == [Finished("cancelled")]


def test_after_a_reset_it_is_written_again_over_a_new_link() -> None:
    slow = writing(RULES)
    slow.cancel()
    effects(slow, 1.0)
    assert effects(slow, 1.25) == [CutLink(), WriteEnd(START), Finished("cancelled")]
    broken = writing(RULES)
    broken.cancel()
    effects(broken, 1.0)
    broken.link_lost("broken", 1.1)
    assert effects(broken, 1.1) == [WriteEnd(START), Finished("cancelled")]
    unsent = writing(RULES)
    unsent.cancel()
    assert unsent.poll(1.0, may_write=True, room=False) == DropUnsent()
    unsent.link_lost("cut", 1.0)
    assert effects(unsent, 1.0) == [WriteEnd(START), Finished("cancelled")]


def test_confirmed_chunks_end_without_a_ping() -> None:
    machine = writing(RULES)
    effects(machine, 0.0)
    machine.confirmed(3, False, 0.0)
    machine.cancel()
    assert effects(machine, 1.0) == [DropUnsent(), WriteEnd(START), Finished("cancelled")]


def test_without_a_chunk_there_is_no_end_frame() -> None:
    before = UtteranceDelivery(REQUEST, RULES, 0.0)
    before.cancel()
    assert effects(before, 0.0) == [Finished("cancelled")]
    assert effects(cancelled(UtteranceDelivery(REQUEST, RULES, 0.0, delivered=2)), 0.0) == [
        WriteEnd(None),
        Finished("cancelled"),
    ]
    assert effects(cancelled(UtteranceDelivery(REQUEST, RULES, 0.0, sent_before=True)), 0.0) == [
        WriteEnd(None),
        Finished("cancelled"),
    ]


def cancelled(machine: UtteranceDelivery) -> UtteranceDelivery:
    machine.cancel()
    return machine


def test_a_failed_synthesis_ends_after_its_audio() -> None:
    machine = writing(RULES)
    machine.audio(9, AudioEnd(1, "failed", 3, 300, 0.0, EndError("engine_error", "test"), text="All."), 1.0)
    assert effects(machine, 1.0) == [Confirm(3, complete=False)]
    machine.confirmed(3, False, 1.1)
    found = effects(machine, 1.1)
    assert found[:2] == [DropUnsent(), WriteEnd(START, "All.")] and isinstance(found[2], Finished)


def test_without_a_connection_there_is_no_end_frame_of_a_failure() -> None:
    machine = writing(DeliveryRules(max_retries=0, end_frames=True))
    machine.link_lost("broken", 1.0)
    (end,) = effects(machine, 1.0)
    assert isinstance(end, Finished) and end.error is not None and end.error.code == "oraserver_unreachable"


def test_the_start_is_known_while_the_audio_is_read_again() -> None:
    machine = writing(RULES)
    machine.link_lost("broken", 1.0)
    effects(machine, 1.0)
    machine.cancel()
    assert effects(machine, 1.0) == [WriteEnd(START), Finished("cancelled")]


def test_without_the_setting_the_effects_are_the_same_but_for_the_end_frame() -> None:
    found: list[list[Effect]] = []
    for rules in (DeliveryRules(), RULES):
        machine = writing(rules)
        machine.cancel()
        found.append([*effects(machine, 1.0), *effects(machine, 2.0)])
    without, with_frames = found
    assert without == [effect for effect in with_frames if not isinstance(effect, WriteEnd)]


def test_only_a_delivered_utterance_plays() -> None:
    machine = writing(RULES)
    assert machine.played() is None
    machine.audio(9, AudioEnd(1, "complete", 3, 300, 1.5, text="All."), 0.5)
    asked = effects(machine, 0.5)
    assert isinstance(asked[-1], Confirm) and asked[-1].complete and not any(isinstance(x, WriteChunk) for x in asked)
    machine.confirmed(3, True, 0.6)
    assert effects(machine, 0.6) == [Finished("delivered")]
    assert machine.played() == (AudioStart(REQUEST, "pcm16", 8000, 1, "espeak", "ko-KR"), 1.5, "All.")
