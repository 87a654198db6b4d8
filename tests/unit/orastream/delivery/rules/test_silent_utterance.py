"""An utterance whose text has nothing to say is delivered, and OraServer gets nothing of it."""

from __future__ import annotations

import random

import pytest

from orastream.base.backoff import Backoff
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, AudioWaiting
from orastream.delivery.rules.utterance import DIFFERS, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    Connect,
    DeliveryRules,
    Effect,
    FallBack,
    Fence,
    Finished,
    OpenUtterance,
    WriteChunk,
)

pytestmark = pytest.mark.unit

REQUEST = 3
START = AudioStart(REQUEST, "wav", 8000, 1, "espeak", "ko-KR")
SILENCE = [START, AudioWaiting(1), AudioEnd(1, "complete", 0, 0, 0.0, text="<think>…</think>")]
WS, HTTP = DeliveryRules(end_frames=True), DeliveryRules(confirm_every=None)


def delivery(
    rules: DeliveryRules = WS, *, claimed: bool = True, silent: bool = True, **fields: object
) -> UtteranceDelivery:
    backoff = Backoff(1, 1, rng=random.Random(1))
    machine = UtteranceDelivery(REQUEST, rules, 0.0, backoff=backoff, may_be_silent=silent, **fields)  # type: ignore[arg-type]
    if claimed:
        machine.claimed(0.0)
    return machine


def give(machine: UtteranceDelivery, *messages: AudioMessage) -> None:
    for sequence, message in enumerate(messages, 1):
        machine.audio(sequence, message, 0.0)


def effects(machine: UtteranceDelivery, now: float = 0.0, *, may_write: bool = True) -> list[Effect]:
    found: list[Effect] = []
    while (effect := machine.poll(now, may_write=may_write, room=True)) is not None:
        found.append(effect)
    return found


@pytest.mark.parametrize("rules", [WS, HTTP], ids=["websocket", "http"])
@pytest.mark.parametrize("silent", [True, False])
def test_it_is_delivered_without_a_connection(rules: DeliveryRules, silent: bool) -> None:
    machine = delivery(rules, silent=silent)
    give(machine, *SILENCE)
    assert effects(machine) == [Finished("delivered")]
    progress = machine.progress
    assert (progress.total_chunks, progress.chunks, progress.bytes, progress.audio_seconds) == (0, 0, 0, 0.0)
    assert progress.characters == len("<think>…</think>")
    assert machine.played() is None, "a cancel has nothing to end"


@pytest.mark.parametrize("rules", [WS, HTTP], ids=["websocket", "http"])
def test_nothing_is_written_over_a_link_that_was_opened_before(rules: DeliveryRules) -> None:
    machine = delivery(rules, must_fence=True)
    assert effects(machine) == [Connect()]
    machine.link_up()
    assert effects(machine) == [Fence()]
    machine.fenced()
    give(machine, *SILENCE)
    assert effects(machine) == [Finished("delivered")]


def test_over_a_resuming_link_it_is_opened_with_the_first_chunk() -> None:
    """A receiver of protocol v2 would else know of an utterance that never comes."""
    machine = delivery()
    give(machine, START)
    assert effects(machine) == [Connect()]
    machine.link_up(resumes=True)
    assert effects(machine) == []
    machine.audio(2, AudioChunk(1, 0, 0, 0, bytes(100)), 0.0)
    assert [type(effect) for effect in effects(machine)] == [OpenUtterance]
    silent, known = delivery(), delivery(silent=False)
    for machine in (silent, known):
        give(machine, START)
        effects(machine)
        machine.link_up(resumes=True)
    assert [type(effect) for effect in effects(known)] == [OpenUtterance], "it surely has audio"
    silent.audio(2, SILENCE[-1], 0.0)
    assert effects(silent) == [Finished("delivered")]


def test_it_waits_until_every_cancel_is_known_and_a_synth_has_claimed_it() -> None:
    machine = delivery(claimed=False)
    give(machine, *SILENCE)
    assert effects(machine) == [Connect()]
    machine.claimed(0.0)
    assert effects(machine, may_write=False) == [], "the lease is over, or a cancel may be unread"
    machine.cancel()
    assert effects(machine, may_write=False) == [Finished("cancelled")]
    again = delivery()
    give(again, *SILENCE)
    assert effects(again) == [Finished("delivered")]
    again.cancel()
    assert again.finished == Finished("delivered"), "a cancel after the end changes nothing"


def test_oraserver_is_not_needed_while_there_is_no_audio() -> None:
    """A turn of tool calls is no failure because OraServer is away meanwhile."""
    for refused in (False, True):
        machine, now = delivery(), 0.0
        give(machine, START)
        for _ in range(20):
            now = now if (at := machine.next_time()) is None or at > 1e6 else max(now, at)
            if effects(machine, now) == [Connect()]:
                machine.link_lost("down", now, refused=refused)
        assert machine.finished is None
        machine.audio(2, SILENCE[-1], now)
        assert effects(machine, now) == [Finished("delivered")]


@pytest.mark.parametrize("refused", [False, True])
def test_a_chunk_needs_it(refused: bool) -> None:
    machine, now = delivery(DeliveryRules(falls_back=True)), 0.0
    give(machine, START)
    for _ in range(6):
        if effects(machine, now) == [Connect()]:
            machine.link_lost("down", now, refused=refused)
        now += 2.5
    machine.audio(2, AudioChunk(1, 0, 0, 0, bytes(100)), now)
    assert effects(machine, now) == [FallBack()]
    assert machine.finished is not None and machine.finished.error is not None
    assert machine.finished.error.code == ("oraserver_refused" if refused else "oraserver_unreachable")


def test_an_oraserver_that_came_back_in_time_gets_the_audio() -> None:
    machine, now = delivery(), 0.0
    give(machine, START)
    for _ in range(6):
        if effects(machine, now) == [Connect()]:
            machine.link_lost("down", now)
        now += 2.5
    machine.restart_stall_timer(now)
    assert effects(machine, now) == [Connect()]
    machine.link_up()
    machine.audio(2, AudioChunk(1, 0, 0, 0, bytes(100)), now)
    assert [type(effect) for effect in effects(machine, now)] == [WriteChunk]
    machine.link_lost("down", now)
    assert machine.finished is None, "the failures before it was back do not count"


def test_audio_that_an_earlier_owner_has_sent_cannot_become_silence() -> None:
    """The stream of audio was lost, and the request was spoken again, by a synth with other TTS_SKIP_TAGS."""
    for fields in ({"sent_before": True}, {"delivered": 2, "delivered_bytes": 200, "sent_before": True}):
        machine = delivery(DeliveryRules(), **fields)
        give(machine, *SILENCE)
        [finished] = effects(machine)
        assert isinstance(finished, Finished) and finished.error is not None and finished.error.message == DIFFERS
