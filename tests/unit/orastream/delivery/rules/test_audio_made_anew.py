"""The stream of audio was lost, and synth has made the audio anew: it is continued only if its chunks are as before."""

from __future__ import annotations

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.rules.utterance import DIFFERS, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import Connect, DeliveryRules, Finished, Rewind, WriteChunk
from tests.unit.orastream.delivery.rules.test_cancel_settles import REQUEST, START, effects, writing

pytestmark = pytest.mark.unit


def made_anew(machine: UtteranceDelivery, sizes: list[int], first: int = 50) -> None:
    """The audio of another attempt, stored at `first` and after it."""
    machine.audio(first, START, 2.0)
    for index, size in enumerate(sizes):
        machine.audio(first + 1 + index, AudioChunk(first, index, index * 10, 0, bytes(size)), 2.0)


def failed(machine: UtteranceDelivery) -> bool:
    finished = machine.finished
    if finished is None:
        return False
    assert isinstance(finished, Finished) and finished.error is not None
    return (finished.status, finished.error.code, finished.error.message) == ("failed", "internal", DIFFERS)


@pytest.mark.parametrize(
    ("sizes", "fails"), [([100, 100, 100, 70], False), ([100, 100, 70, 130], True), ([100, 40], True)]
)
def test_the_owner_that_has_read_it_before(sizes: list[int], fails: bool) -> None:
    """The three chunks of 100 bytes were written, and go on in the same assembly."""
    machine = writing()
    made_anew(machine, sizes)
    assert failed(machine) is fails


@pytest.mark.parametrize(("sizes", "fails"), [([100, 100, 100], False), ([100, 100, 70], True)])
def test_the_owner_that_writes_unconfirmed_chunks_again(sizes: list[int], fails: bool) -> None:
    """OraServer may have them, and drops the repeats."""
    machine = writing()
    machine.confirmed(1, False, 1.0)
    machine.link_lost("broken", 1.0)
    assert Rewind() in effects(machine, 1.0)
    made_anew(machine, sizes)
    assert failed(machine) is fails


@pytest.mark.parametrize(("sizes", "fails"), [([100, 100, 50], False), ([50, 150], False), ([100, 90, 10, 100], True)])
def test_a_later_owner_that_knows_the_bytes_of_the_confirmed_chunks(sizes: list[int], fails: bool) -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0, delivered=2, delivered_bytes=200)
    machine.claimed(0.0)
    made_anew(machine, sizes)
    assert failed(machine) is fails


def test_a_superseded_attempt_may_have_other_chunks() -> None:
    machine = writing()
    machine.audio(50, AudioStart(REQUEST, "pcm16", 8000, 1, "espeak", "ko-KR"), 2.0)
    machine.audio(51, AudioChunk(1, 2, 20, 0, bytes(7)), 2.0)
    assert machine.finished is None


@pytest.mark.parametrize(("sizes", "fails"), [([100, 100, 100], False), ([100, 100], True)])
def test_the_owner_that_has_written_more_chunks_than_there_are_now(sizes: list[int], fails: bool) -> None:
    machine = writing()
    made_anew(machine, sizes)
    machine.audio(90, AudioEnd(50, "complete", len(sizes), sum(sizes), 0.1), 2.0)
    assert failed(machine) is fails


def test_a_later_owner_when_there_are_fewer_chunks_than_were_confirmed() -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0, delivered=3, delivered_bytes=300)
    machine.claimed(0.0)
    made_anew(machine, [100, 100])
    assert machine.finished is None
    machine.audio(90, AudioEnd(50, "complete", 2, 200, 0.1), 2.0)
    assert failed(machine)


def test_what_was_read_and_not_written_is_read_again() -> None:
    """OraServer was away, so nothing of the lost audio has left the node."""
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0)
    machine.claimed(0.0)
    made_anew(machine, [100, 100, 100], first=1)
    assert effects(machine, 0.0) == [Connect()]
    made_anew(machine, [50, 150])
    assert Rewind() in effects(machine, 2.0)
    made_anew(machine, [50, 150])
    machine.link_up()
    written = [effect for effect in effects(machine, 2.0) if isinstance(effect, WriteChunk)]
    assert [len(effect.chunk.audio) for effect in written] == [50, 150]
    assert machine.finished is None


def test_a_file_is_sent_only_when_it_is_complete_so_its_audio_may_change_before() -> None:
    machine = writing(DeliveryRules(confirm_every=None))
    made_anew(machine, [50, 150])
    assert Rewind() in effects(machine, 2.0)
    made_anew(machine, [50, 150])
    machine.audio(90, AudioEnd(50, "complete", 2, 200, 0.1), 2.0)
    written = [effect for effect in effects(machine, 2.0) if isinstance(effect, WriteChunk)]
    assert [len(effect.chunk.audio) for effect in written] == [50, 150]
    assert machine.finished is None


def test_audio_that_changes_again_and_again_is_not_read_for_ever() -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0)
    machine.claimed(0.0)
    made_anew(machine, [100, 100, 100], first=1)
    made_anew(machine, [50, 150])
    assert Rewind() in effects(machine, 2.0)
    made_anew(machine, [50, 150])
    made_anew(machine, [40, 160], first=70)
    assert failed(machine)


def test_fewer_chunks_of_the_same_sizes_are_read_again_if_the_rest_was_not_written() -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0)
    machine.claimed(0.0)
    made_anew(machine, [100, 100, 100], first=1)
    made_anew(machine, [100, 100])
    machine.audio(90, AudioEnd(50, "complete", 2, 200, 0.1), 2.0)
    assert Rewind() in effects(machine, 2.0)


def test_a_chunk_after_a_gap_may_differ_from_that_of_the_next_attempt() -> None:
    """A synth died with chunk 4 stored and 3 not; the next one continued at 3. After a break all is read again."""
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0)
    machine.claimed(0.0)
    stored = [
        (REQUEST, START),
        *((REQUEST + 1 + index, AudioChunk(REQUEST, index, index, 0, bytes(100))) for index in (0, 1, 2)),
        (REQUEST + 5, AudioChunk(REQUEST, 4, 4, 0, bytes(30))),
        (20, START),
        (21, AudioChunk(20, 3, 3, 0, bytes(100))),
        (22, AudioChunk(20, 4, 4, 0, bytes(100))),
    ]
    for sequence, message in stored:
        machine.audio(sequence, message, 0.0)
    assert effects(machine, 0.0) == [Connect()]
    machine.link_up()
    assert len([effect for effect in effects(machine, 0.0) if isinstance(effect, WriteChunk)]) == 5
    machine.link_lost("broken", 1.0)
    assert Rewind() in effects(machine, 1.0)
    for sequence, message in stored:
        machine.audio(sequence, message, 1.0)
    assert machine.finished is None


# ---- an offset that contradicts the bytes before the chunk


def placed(index: int, offset: int) -> AudioChunk:
    return AudioChunk(1, index, index * 10, 0, bytes(100), None, offset)


def test_a_contradicting_offset_fails_at_once_when_oraserver_may_have_other_audio() -> None:
    """Without this, the delivery would wait for the next chunk until synth counts as stalled."""
    machine = writing()
    machine.audio(9, placed(3, 300), 2.0)
    assert machine.finished is None
    machine.audio(10, placed(4, 399), 2.0)
    assert failed(machine)


def test_audio_with_a_contradicting_offset_is_read_again_once_when_nothing_was_sent() -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(), 0.0)
    machine.claimed(0.0)

    def read(*offsets: int) -> None:
        machine.audio(1, START, 0.0)
        for index, offset in enumerate(offsets):
            machine.audio(2 + index, placed(index, offset), 0.0)

    read(0, 99, 200)
    assert machine.finished is None and effects(machine, 0.0) == [Rewind(), Connect()]
    read(0, 100, 200)
    machine.link_up()
    assert sum(isinstance(effect, WriteChunk) for effect in effects(machine, 0.0)) == 3
    assert machine.finished is None


def test_audio_that_contradicts_itself_again_fails() -> None:
    machine = UtteranceDelivery(REQUEST, DeliveryRules(confirm_every=None), 0.0)
    machine.claimed(0.0)
    for _ in range(2):
        assert not failed(machine)
        machine.audio(1, START, 0.0)
        machine.audio(2, placed(0, 0), 0.0)
        machine.audio(3, placed(1, 99), 0.0)
        effects(machine, 0.0)
    assert failed(machine)
