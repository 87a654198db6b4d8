"""The machine of one utterance over links of protocol v2: OraServer says where the audio goes on.

The model is an OraServer that keeps a file. Links break, it forgets, confirmations are lost, and owners change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, EndError
from orastream.contract.sentence_start import SentenceStart
from orastream.delivery.rules.utterance import LinkState, UtteranceDelivery
from orastream.delivery.rules.utterance_effects import (
    Confirm,
    Connect,
    CutLink,
    DeliveryRules,
    DropUnsent,
    Effect,
    Fence,
    Finished,
    OpenUtterance,
    Rewind,
    WriteChunk,
    WriteComplete,
    WriteEnd,
    WriteFailed,
)

pytestmark = pytest.mark.unit

SEQ, ATTEMPT = 7, 100
START = AudioStart(SEQ, "pcm16", 8000, 1, "e", "l")


@dataclass
class Server:
    """What OraServer has: the first bytes of the file."""

    file: bytearray = field(default_factory=bytearray)
    size: int | None = None
    failed: str | None = None
    sentences: list[int] = field(default_factory=list)


@dataclass
class ResumingBench:
    """Drives the machine of one owner as the runner does. The link is open while `at` is a number."""

    stored: list[tuple[int, AudioMessage]]
    server: Server
    machine: UtteranceDelivery
    now: float = 0.0
    fed: int = 0
    at: int | None = None
    """Where the next chunk must begin over the present link, or before; None before OraServer has answered."""
    questions: list[tuple[Confirm, int]] = field(default_factory=list)
    asked_to_open: OpenUtterance | None = None
    effects: list[Effect] = field(default_factory=list)

    def step(self, *, room: bool = True, answers: bool = True) -> None:
        while True:
            while self.machine.wants_audio and self.fed < len(self.stored):
                sequence, message = self.stored[self.fed]
                self.fed += 1
                self.machine.audio(sequence, message, self.now)
            effect = self.machine.poll(self.now, may_write=True, room=room and self.at is not None)
            if effect is None:
                if self.machine.wants_audio and self.fed < len(self.stored):
                    continue
                break
            self.effects.append(effect)
            self.carry_out(effect, answers=answers)

    def carry_out(self, effect: Effect, *, answers: bool) -> None:
        match effect:
            case Connect():
                self.machine.link_up(quick=True, resumes=True)
                self.at = None
            case OpenUtterance():
                assert self.asked_to_open is None, "asked twice over one link"
                self.asked_to_open = effect
                assert not (effect.fresh and self.server.file), "fresh, although OraServer has some"
                if answers:
                    self.opened()
            case WriteChunk(_, chunk, began):
                assert self.at is not None and chunk.offset is not None
                assert chunk.offset <= self.at < chunk.offset + len(chunk.audio), "a gap, or nothing new"
                if began is not None:
                    self.server.sentences.append(began.number)
                self.server.sentences += [start.number for start in chunk.sentences]
                self.server.file += chunk.audio[self.at - chunk.offset :]
                self.at = chunk.offset + len(chunk.audio)
            case WriteComplete(_, end):
                assert self.at == end.total_bytes == len(self.server.file)
                self.server.size = self.at
            case WriteFailed(code):
                self.server.size, self.server.failed = self.at, code
            case Confirm():
                assert self.at is not None
                self.questions.append((effect, self.at))
            case Rewind():
                self.fed = 0
            case Fence():
                self.machine.fenced()
            case CutLink() | DropUnsent() | WriteEnd():
                raise AssertionError(f"{effect} over a resuming link")

    def opened(self) -> None:
        self.asked_to_open, self.at = None, len(self.server.file)
        self.machine.opened(self.at, self.now)

    def confirm(self) -> None:
        questions, self.questions = self.questions, []
        for asked, _ in questions:
            self.machine.confirmed(asked.chunks, asked.complete, self.now)

    def lose(self) -> None:
        self.questions.clear()
        self.at = self.asked_to_open = None
        self.machine.link_lost("gone", self.now)
        self.now += 3.0


def audio(sizes: list[int], end: str | None) -> list[tuple[int, AudioMessage]]:
    chunks = [
        AudioChunk(ATTEMPT, i, 250 * i, i, bytes([i % 251]) * size, sentences=(SentenceStart(i, 250 * i, f"S{i}."),))
        for i, size in enumerate(sizes)
    ]
    messages: list[AudioMessage] = [START, *chunks]
    if end == "complete":
        messages.append(AudioEnd(ATTEMPT, "complete", len(sizes), sum(sizes), len(sizes) / 4))
    elif end == "failed":
        messages.append(AudioEnd(ATTEMPT, "failed", len(sizes), sum(sizes), 1.0, EndError("engine_error", "it broke")))
    return [(ATTEMPT + i, message) for i, message in enumerate(messages)]


def bench(
    sizes: list[int], end: str | None = "complete", *, server: Server | None = None, **given: object
) -> ResumingBench:
    machine = UtteranceDelivery(SEQ, DeliveryRules(), 0.0, **given)  # type: ignore[arg-type]
    machine.claimed(0.0)
    return ResumingBench(audio(sizes, end), server or Server(), machine)


def whole(sizes: list[int]) -> bytes:
    return b"".join(bytes([i % 251]) * size for i, size in enumerate(sizes))


def test_a_fresh_utterance_is_opened_before_its_first_chunk_and_delivered_when_all_is_stored() -> None:
    to = bench([4, 6, 2])
    to.step()
    opened = [effect for effect in to.effects if isinstance(effect, OpenUtterance)]
    assert opened == [OpenUtterance(START, 0, fresh=True)]
    assert to.server.file == whole([4, 6, 2]) and to.machine.finished is None
    to.confirm()
    to.step()
    assert to.effects[-1] == Finished("delivered")


def test_no_chunk_is_written_before_the_answer() -> None:
    to = bench([4, 6])
    to.step(answers=False)
    assert to.asked_to_open is not None and not to.server.file
    to.opened()
    to.step()
    assert to.server.file == whole([4, 6])


def test_after_a_break_the_audio_goes_on_in_the_middle_of_a_chunk_and_the_sentence_is_named_again() -> None:
    to = bench([4, 6, 2])
    to.step()
    to.lose()
    del to.server.file[7:]  # the rest was on its way
    to.server.size, to.server.sentences = None, []
    to.step()
    assert to.server.file == whole([4, 6, 2])
    assert to.server.sentences == [0, 1, 2], "the last sentence of what is skipped, then the others"


def test_a_confirmation_that_was_lost_counts_when_it_is_opened_again() -> None:
    to = bench([4, 6, 2], end=None)
    to.step()
    to.lose()
    assert to.machine.progress.chunks == 0
    to.step()
    assert to.machine.progress.chunks == 3 and to.machine.progress.bytes == 12
    assert to.machine.progress.retransmitted == 0 and to.server.file == whole([4, 6, 2])


def test_an_oraserver_that_has_forgotten_gets_the_rest_again() -> None:
    to = bench([4, 6, 2])
    to.step()
    to.machine.confirmed(2, False, to.now)
    to.lose()
    to.server.file.clear()
    to.server.size = None
    to.step()
    assert to.server.file == whole([4, 6, 2])
    to.confirm()
    to.step()
    assert to.effects[-1] == Finished("delivered") and to.machine.progress.chunks == 3


def test_what_was_forgotten_is_confirmed_anew() -> None:
    """Else the limit of unconfirmed speech would hold the delivery for ever: 5 s are 20 of these chunks."""
    to = bench([4] * 60)
    for _ in range(2):
        to.step()
        to.confirm()
    to.lose()
    to.server.file.clear()
    to.server.size = None
    for _ in range(5):
        to.step()
        to.confirm()
    to.step()
    assert to.effects[-1] == Finished("delivered") and to.server.file == whole([4] * 60)


def test_the_next_owner_believes_oraserver_and_not_the_report() -> None:
    server = Server(bytearray(whole([4, 6, 2])[:11]))
    to = bench([4, 6, 2], server=server, delivered=1, delivered_bytes=4, must_fence=True, sent_before=True)
    to.step()
    assert [effect for effect in to.effects if isinstance(effect, OpenUtterance)] == [OpenUtterance(START, 4, False)]
    assert server.file == whole([4, 6, 2])
    to.confirm()
    to.step()
    assert to.machine.progress.bytes == 12 and to.machine.progress.chunks == 3


def test_new_bytes_on_each_link_are_no_failures_in_a_row() -> None:
    to = bench([4] * 40)
    for stored in range(4, 64, 4):
        to.step()
        to.lose()
        del to.server.file[stored:]
        to.server.size = None
        assert to.machine.finished is None, stored


def test_a_failed_synthesis_ends_the_stream_after_its_audio_was_stored() -> None:
    to = bench([4, 6], "failed")
    to.step()
    assert to.machine.finished is None and not to.server.failed, "its audio is not confirmed yet"
    to.confirm()
    to.step()
    assert to.server.failed == "engine_error" and to.server.size == 10
    assert isinstance(to.effects[-1], Finished) and to.effects[-1].status == "failed"


def test_a_cancel_ends_it_at_once() -> None:
    to = bench([4, 6])
    to.step()
    to.machine.cancel()
    to.step()
    assert to.effects[-1] == Finished("cancelled") and not to.machine.on_its_way


def test_the_end_of_the_lease_cuts_nothing() -> None:
    """The next owner's epoch is higher: OraServer ignores what is still on its way."""
    to = bench([4, 6], end=None)
    to.step()
    to.machine.lease_over()
    to.step()
    assert not any(isinstance(effect, CutLink) for effect in to.effects)


class ResumingWorld(RuleBasedStateMachine):
    """Breaks, forgotten bytes, lost confirmations, other owners: the file arrives, in order and without a gap."""

    @initialize(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40))
    def begin(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.to = bench(sizes)

    def stopped(self) -> bool:
        return self.to.machine.finished is not None

    @rule(room=st.booleans(), answers=st.booleans())
    def go_on(self, room: bool, answers: bool) -> None:
        self.to.step(room=room, answers=answers)

    @precondition(lambda self: self.to.asked_to_open is not None)
    @rule()
    def oraserver_answers(self) -> None:
        self.to.opened()

    @precondition(lambda self: self.to.questions)
    @rule()
    def oraserver_confirms(self) -> None:
        self.to.confirm()

    @precondition(lambda self: self.to.machine.link is LinkState.UP and not self.stopped())
    @rule(kept=st.integers(0, 1600), forgets=st.booleans())
    def the_link_breaks(self, kept: int, forgets: bool) -> None:
        confirmed = 0 if forgets else sum(self.sizes[: self.to.machine.progress.chunks])
        del self.to.server.file[max(confirmed, min(kept, len(self.to.server.file))) :]
        self.to.server.size = None
        self.to.lose()

    @precondition(lambda self: not self.stopped())
    @rule(reported=st.booleans())
    def another_owner_takes_over(self, reported: bool) -> None:
        progress = self.to.machine.progress
        chunks = progress.chunks if reported else 0
        self.to = bench(
            self.sizes,
            server=self.to.server,
            delivered=chunks,
            delivered_bytes=sum(self.sizes[:chunks]),
            must_fence=True,
            sent_before=True,
        )

    @invariant()
    def the_file_is_a_prefix(self) -> None:
        if hasattr(self, "to"):
            assert whole(self.sizes).startswith(self.to.server.file)
            finished = self.to.machine.finished
            assert finished is None or finished.error is not None or self.to.server.file == whole(self.sizes)

    def teardown(self) -> None:
        if not hasattr(self, "to"):
            return
        for _ in range(6):
            self.to.now += 3.0
            self.to.step()
            if self.to.asked_to_open is not None:
                self.to.opened()
                self.to.step()
            self.to.confirm()
        finished = self.to.machine.finished
        assert finished is not None
        assert finished.status == "delivered" or (finished.error and finished.error.code == "oraserver_unreachable")


TestResumingWorld = ResumingWorld.TestCase
TestResumingWorld.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
