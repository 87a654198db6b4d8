"""`evidence_of` against a model of the audio subject: own messages, messages of other attempts, expiry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart
from orastream.jetstream.tally import Tally
from services.synth.job.standing import Evidence, Trail, evidence_of

pytestmark = pytest.mark.unit

REQUEST = 3
TRAIL = Trail(first=10, before=2, sent=5, stored=5)


@pytest.mark.parametrize(
    ("now", "tally", "expected"),
    [
        (TRAIL, Tally(10, 7), Evidence.ALONE),
        (TRAIL, Tally(1, 7), Evidence.ALONE),  # the stream has older messages of other subjects
        (TRAIL, Tally(10, 8), Evidence.READ),  # one more than ours
        (TRAIL, Tally(10, 6), Evidence.READ),  # fewer: the answer came from a replica that is behind
        (TRAIL, Tally(11, 7), Evidence.READ),  # the first one may have expired, and another attempt may have added one
        (Trail(10, 2, 6, 5), Tally(10, 7), Evidence.OPEN),  # one was sent after the count was requested
        (Trail(10, 2, 6, 5), Tally(10, 8), Evidence.OPEN),
        (Trail(10, 2, 6, 6), Tally(10, 8), Evidence.OPEN),
        (Trail(10, 2, 6, 6), Tally(10, 9), Evidence.READ),
    ],
)
def test_count_of_messages_gives_the_evidence(now: Trail, tally: Tally, expected: Evidence) -> None:
    assert evidence_of(TRAIL, now, tally) is expected


def test_evidence_is_open_while_a_message_is_not_acked() -> None:
    """The unacked message may not be stored yet, and the count may include one of another attempt instead."""
    open_trail = Trail(10, 2, 5, 4)
    assert evidence_of(open_trail, open_trail, Tally(10, 7)) is Evidence.OPEN
    assert evidence_of(open_trail, replace(open_trail, stored=5), Tally(10, 7)) is Evidence.OPEN


@dataclass
class Subject:
    """A model of the audio subject of one request. Attempt `mine` writes through a window: any order, late acks."""

    messages: list[tuple[int, AudioMessage]] = field(default_factory=list)
    last: int = 0
    expired: int = 0
    on_way: list[AudioMessage] = field(default_factory=list)
    unacked: int = 0

    def store(self, message: AudioMessage) -> int:
        self.last += 1
        self.messages.append((self.last, message))
        return self.last

    def tally(self) -> Tally:
        return Tally(self.expired + 1, len(self.messages) - self.expired)

    def followed(self, mine: int) -> bool:
        """Whether a reader of all messages has followed that attempt to its end, or still follows it."""
        assembly = Assembly(REQUEST)
        for sequence, message in self.messages:
            assembly.receive(sequence, message)
        return assembly.attempt == mine


def start() -> AudioStart:
    return AudioStart(REQUEST, "pcm16", 24000, 1, "espeak", "ko-KR")


STEPS = st.lists(st.sampled_from(["send", "store", "ack", "start", "chunk", "expire", "ask"]), max_size=40)


@given(earlier=st.integers(0, 2), steps=STEPS)
def test_evidence_is_never_wrong_and_an_undisturbed_attempt_needs_no_read(earlier: int, steps: list[str]) -> None:
    subject = Subject()
    other = 0
    for _ in range(earlier):
        other = subject.store(start())
    mine = subject.store(start())
    trail, alone, chunks = Trail(1, len(subject.messages)), True, 0
    requested: tuple[Trail, Tally] | None = None
    for step in steps:
        match step:
            case "send":
                trail.on_sent()
                subject.on_way.append(AudioChunk(mine, chunks, 0, 0, b"ab"))
                chunks += 1
            case "store" if subject.on_way:
                subject.store(subject.on_way.pop())  # the stream may store in another order than the window sends
                subject.unacked += 1
            case "ack" if subject.unacked:
                subject.unacked -= 1
                trail.on_stored()
            case "start":
                other, alone = subject.store(start()), False
            case "chunk":
                subject.store(AudioChunk(other, 0, 0, 0, b"cd"))
                alone = False
            case "expire" if subject.expired < len(subject.messages):
                subject.expired += 1
                alone = False
            case "ask":
                requested = replace(trail), subject.tally()  # the answer arrives after further steps
        if requested is None:
            continue
        evidence = evidence_of(requested[0], trail, requested[1])
        if evidence is Evidence.ALONE and requested[1] == subject.tally():
            assert subject.followed(mine)
        if alone:
            assert evidence is not Evidence.READ
            if trail.sent == requested[0].stored:
                assert evidence is Evidence.ALONE


def test_attempt_still_counts_when_another_start_follows_its_end() -> None:
    """The count shows another writer; reading the subject shows that the attempt still counts."""
    subject = Subject()
    mine = subject.store(start())
    trail = Trail(1, 1)
    for message in (AudioChunk(mine, 0, 0, 0, b"ab"), AudioEnd(mine, "complete", 1, 2, 0.0)):
        trail.on_sent()
        subject.store(message)
        trail.on_stored()
    assert evidence_of(trail, trail, subject.tally()) is Evidence.ALONE
    subject.store(start())
    assert evidence_of(trail, trail, subject.tally()) is Evidence.READ
    assert subject.followed(mine)
