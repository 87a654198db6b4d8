"""A cancelled utterance: its audio is confirmed, or its link is cut, before the final status is returned."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.rules.utterance import LinkState, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    AskAudioRoom,
    Confirm,
    Connect,
    CutLink,
    DeliveryRules,
    DropUnsent,
    Effect,
    Finished,
    WriteChunk,
)

pytestmark = pytest.mark.unit

REQUEST = 3
RULES = DeliveryRules(settle_s=0.25)
START = AudioStart(REQUEST, "pcm16", 8000, 1, "espeak", "ko-KR")


def effects(machine: UtteranceDelivery, now: float) -> list[Effect]:
    """Poll until the machine has nothing to do."""
    found: list[Effect] = []
    while (effect := machine.poll(now, may_write=True, room=True)) is not None:
        found.append(effect)
    return found


def writing(rules: DeliveryRules = RULES, chunks: int = 3) -> UtteranceDelivery:
    """A machine that has written that many chunks, unconfirmed, at time 0."""
    machine = UtteranceDelivery(REQUEST, rules, 0.0)
    machine.claimed(0.0)
    machine.audio(1, START, 0.0)
    for index in range(chunks):
        machine.audio(2 + index, AudioChunk(1, index, index * 10, 0, bytes(100)), 0.0)
    assert effects(machine, 0.0) == [Connect()]
    machine.link_up()
    assert sum(isinstance(effect, WriteChunk) for effect in effects(machine, 0.0)) == chunks
    return machine


def test_a_prompt_receiver_keeps_the_link() -> None:
    """It is asked at once; when it has answered, the end is returned without a cut, and its chunks count."""
    machine = writing()
    machine.cancel()
    assert effects(machine, 1.0) == [DropUnsent(), Confirm(3, complete=False)]
    assert machine.settling and machine.next_time() == 1.25
    machine.confirmed(3, False, 1.01)
    assert effects(machine, 1.01) == [Finished("cancelled")]
    assert machine.progress.chunks == 3 and machine.progress.bytes == 300
    assert machine.link is LinkState.UP and machine.next_time() is None


def test_a_slow_receiver_is_cut_off() -> None:
    machine = writing()
    machine.cancel()
    effects(machine, 1.0)
    assert effects(machine, 1.24) == []
    assert effects(machine, 1.25) == [CutLink(), Finished("cancelled")]
    machine.confirmed(3, False, 1.3)
    assert machine.progress.chunks == 0, "an answer after the cut does not count"


def test_an_answer_for_a_part_does_not_settle_it() -> None:
    machine = writing(DeliveryRules(confirm_every=2))
    machine.cancel()
    assert effects(machine, 1.0) == [DropUnsent(), Confirm(3, complete=False)]
    machine.confirmed(2, False, 1.1)
    assert effects(machine, 1.1) == []
    machine.confirmed(3, False, 1.2)
    assert effects(machine, 1.2) == [Finished("cancelled")]


def test_unsent_bytes_end_the_link_at_once() -> None:
    """The runner reports that `DropUnsent` has ended the link: nothing is left to wait for."""
    machine = writing()
    machine.cancel()
    assert machine.poll(1.0, may_write=True, room=False) == DropUnsent()
    machine.link_lost("cut", 1.0)
    assert effects(machine, 1.0) == [Finished("cancelled")]
    assert machine.progress.reconnects == 0


def test_nothing_unconfirmed_is_over_at_once() -> None:
    machine = writing()
    machine.cancel()
    effects(machine, 0.0)
    machine.confirmed(3, False, 0.0)
    assert effects(machine, 0.0) == [Finished("cancelled")]
    before = UtteranceDelivery(REQUEST, RULES, 0.0)
    before.cancel()
    assert effects(before, 0.0) == [Finished("cancelled")]


def test_an_answer_of_complete_does_not_undo_the_cancel() -> None:
    machine = writing()
    machine.audio(9, AudioEnd(1, "complete", 3, 300, 0.0), 0.5)
    assert [type(effect).__name__ for effect in effects(machine, 0.5)] == ["WriteComplete", "Confirm"]
    machine.cancel()
    assert effects(machine, 1.0) == [DropUnsent()], "it is asked already"
    machine.confirmed(3, True, 1.1)
    assert effects(machine, 1.1) == [Finished("cancelled")]


def test_over_http_there_is_nothing_to_confirm() -> None:
    """At the end the runner drops what was collected and cancels a running POST."""
    machine = writing(DeliveryRules(confirm_every=None, max_unconfirmed_bytes=None))
    machine.cancel()
    assert effects(machine, 1.0) == [Finished("cancelled")]


def test_a_failed_utterance_is_left_to_the_receiver() -> None:
    """Only a cancel cuts: the next utterance comes after the failed one on the same link."""
    machine = writing()
    assert effects(machine, 20.0) == [AskAudioRoom()]
    machine.audio_room(False, 20.0)
    (end,) = effects(machine, 20.0)
    assert isinstance(end, Finished) and end.status == "failed"
    assert machine.link is LinkState.UP
