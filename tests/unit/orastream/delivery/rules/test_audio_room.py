"""A full stream of audio: the wait for audio goes on as long as it is full, and ends after that as ever."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioStart
from orastream.delivery.rules.audio_room import LARGEST_MESSAGE_BYTES, AudioWait, is_full
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import AskAudioRoom, Connect, DeliveryRules, Effect, Finished

pytestmark = pytest.mark.unit

MIB = 1 << 20


def test_full_means_that_the_next_message_may_not_fit() -> None:
    limit = 4 << 30
    assert is_full(limit, limit) and is_full(limit - LARGEST_MESSAGE_BYTES + 1, limit)
    assert not is_full(limit - LARGEST_MESSAGE_BYTES, limit) and not is_full(0, limit)
    assert not is_full(limit, 0) and not is_full(limit, -1), "a stream without a limit is never full"
    assert not is_full(MIB // 2, MIB) and is_full(MIB - MIB // 16, MIB), "a small stream is not always full"


def machine() -> UtteranceDelivery:
    """A claimed utterance that waits for audio since time 0 and is polled each second."""
    utterance = UtteranceDelivery(3, DeliveryRules(stall_s=20), 0.0)
    utterance.claimed(0.0)
    utterance.audio(1, AudioStart(3, "pcm16", 8000, 1, "espeak", "ko-KR"), 0.0)
    assert utterance.poll(0.0, may_write=True, room=True) == Connect()
    utterance.link_up()
    return utterance


def wait(utterance: UtteranceDelivery, since: float, until: float, full: bool | None) -> list[tuple[float, Effect]]:
    """Poll when the machine asks for it; each question gets the answer `full` after 0.1 s."""
    effects: list[tuple[float, Effect]] = []
    now = since
    while now < until:
        while (effect := utterance.poll(now, may_write=True, room=True)) is not None:
            effects.append((now, effect))
            if isinstance(effect, AskAudioRoom):
                assert utterance.poll(now + 0.05, may_write=True, room=True) is None
                utterance.audio_room(full, now + 0.1)
                now += 0.1
        now = max(now, utterance.next_time() or until)
    return effects


def test_a_synth_that_is_stalled_fails_as_early_as_ever() -> None:
    effects = wait(machine(), 0.0, 100.0, full=False)
    asked = [at for at, effect in effects if isinstance(effect, AskAudioRoom)]
    assert asked[0] == 15.0 and len(asked) <= 7
    at, end = effects[-1]
    assert isinstance(end, Finished) and end.error is not None and end.error.code == "synth_stalled"
    assert 20.0 <= at <= 20.2


def test_a_full_stream_is_waited_for() -> None:
    """For as long as it is full. Then synth has the whole time again."""
    utterance = machine()
    effects = wait(utterance, 0.0, 600.0, full=True)
    assert all(isinstance(effect, AskAudioRoom) for _, effect in effects) and len(effects) < 50
    at, end = wait(utterance, 600.0, 700.0, full=False)[-1]
    assert isinstance(end, Finished) and end.error is not None and end.error.code == "synth_stalled"
    assert 605.0 <= at <= 620.2


def test_without_an_answer_the_utterance_is_not_given_up() -> None:
    """The answer that is outstanding at the end of the time is waited for; an unknown one does not prolong it."""
    timer = AudioWait(20.0, 0.0)
    assert not timer.ask(14.9) and timer.ask(15.0) and not timer.ask(25.0)
    assert not timer.over(25.0) and timer.next_time is None
    timer.answered(None, 25.0)
    assert timer.over(25.0)
    timer.restart(25.0)
    assert not timer.over(45.0), "the stream was not asked since"
    assert timer.ask(44.0)
    timer.answered(False, 44.1)
    assert not timer.over(44.9) and timer.over(45.0)
