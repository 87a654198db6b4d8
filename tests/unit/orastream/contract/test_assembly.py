"""Assembly against a model of synths that die, pause, continue, resend, and write at the same time."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, AudioWaiting, EndStatus
from orastream.contract.sentence_start import SentenceStart

pytestmark = pytest.mark.unit

RUNS = 150 * int(os.environ.get("FUZZ", "1"))
REQUEST = 3


def start(request_seq: int = REQUEST) -> AudioStart:
    return AudioStart(request_seq, "pcm16", 24000, 1, "espeak", "ko-KR")


def chunk(attempt: int, index: int, audio: bytes = b"ab", sentence: int = 0) -> AudioChunk:
    return AudioChunk(attempt, index, index * 10, sentence, audio)


def end(attempt: int, total: int, status: EndStatus = "complete") -> AudioEnd:
    return AudioEnd(attempt, status, total, 2 * total, 0.0)


def read(messages: list[tuple[int, AudioMessage]], *, to_the_end: bool = True) -> tuple[Assembly, list[AudioChunk]]:
    """Return what a reader has passed on after all messages; or, `to_the_end` False, up to the first accepted end."""
    assembly, passed = Assembly(REQUEST), []
    for sequence, message in messages:
        passed += assembly.receive(sequence, message)
        if assembly.finished is not None and not to_the_end:
            break
    assert not assembly.contradicted, "no chunk of a correct synth has another offset"
    assert [x.index for x in passed] == list(range(len(passed)))
    assert assembly.next_index == len(passed)
    assert assembly.bytes == sum(len(x.audio) for x in passed)
    return assembly, passed


@dataclass
class Stream:
    messages: list[tuple[int, AudioMessage]] = field(default_factory=list)
    last: int = 0

    def store(self, message: AudioMessage, rng: random.Random) -> int:
        self.last += rng.choice((1, 1, 1, 4))
        self.messages.append((self.last, message))
        return self.last


class Synth:
    """One attempt: it stores its start, reads the audio before it, then publishes through a window that reorders."""

    def __init__(self, stream: Stream, rng: random.Random, speech: bytes, fork: int | None) -> None:
        old = rng.random() < 0.3  # a synth that does not send offsets
        self.stream, self.rng = stream, rng
        self.attempt = stream.store(start(), rng)
        at = next(i for i, (sequence, _) in enumerate(stream.messages) if sequence == self.attempt)
        self.before = read(stream.messages[: at + 1])[0]
        self.todo: list[AudioMessage] = []
        index, offset = self.before.next_index, self.before.bytes
        if fork is not None:  # an engine that makes other samples each time
            speech = bytes(offset) + bytes([fork]) * rng.randint(1, len(speech))
        while offset < len(speech):
            size = rng.randint(1, 9)
            said = None if old else offset
            self.todo.append(AudioChunk(self.attempt, index, 0, 0, speech[offset : offset + size], None, said))
            index, offset = index + 1, min(len(speech), offset + size)
        self.todo.append(AudioEnd(self.attempt, "complete", index, len(speech), 1.0))
        self.window: list[AudioMessage] = []

    def step(self) -> None:
        """Store one message of the window; sometimes keep it, so that it is stored again."""
        while self.todo and len(self.window) < 6:
            self.window.append(self.todo.pop(0))
        if self.window:
            in_order = self.rng.random() < 0.6
            at = 0 if in_order else self.rng.randrange(len(self.window))
            self.stream.store(self.window[at], self.rng)
            if self.rng.random() < 0.85:
                self.window.pop(at)

    @property
    def done(self) -> bool:
        return not self.todo and not self.window


def run(seed: int, deterministic: bool) -> None:
    rng = random.Random(seed)
    stream, speech = Stream(), bytes(rng.randrange(256) for _ in range(rng.randint(1, 60)))
    synths: list[Synth] = []
    for number in range(rng.randint(1, 5)):
        if synths and read(stream.messages)[0].finished and rng.random() < 0.5:
            break
        synths.append(Synth(stream, rng, speech, None if deterministic else number))
        live = rng.sample(synths, min(len(synths), rng.choice((1, 1, 2, 3))))  # the others pause, or are dead
        if rng.random() < 0.2:
            stream.store(start(REQUEST + 1), rng)  # another request with the same id
        for _ in range(rng.randint(0, 25)):
            rng.choice(live).step()
    while not synths[-1].done:
        rng.choice([synths[-1], synths[-1], rng.choice(synths)]).step()

    whole, passed = read(stream.messages)
    early, passed_early = read(stream.messages, to_the_end=False)
    assert whole.finished is not None, "the last attempt did not store its end"
    assert passed == passed_early, "two readers assembled different audio"
    assert whole.finished == early.finished
    assert whole.finished.total_chunks == len(passed)
    joined = b"".join(x.audio for x in passed)
    assert whole.finished.total_bytes == len(joined)
    if deterministic:
        assert joined == speech
    for synth in synths:  # what a synth read at its start, every reader had passed on
        prefix = [(s, message) for s, message in stream.messages if s <= synth.attempt]
        there, passed_there = read(prefix)
        assert (there.next_index, there.bytes) == (synth.before.next_index, synth.before.bytes)
        assert passed_there == passed[: len(passed_there)]


@pytest.mark.parametrize("deterministic", [True, False])
def test_all_readers_assemble_the_same_audio(deterministic: bool) -> None:
    for seed in range(RUNS):
        try:
            run(seed, deterministic)
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc


def feed(*messages: tuple[int, AudioMessage]) -> tuple[Assembly, list[int]]:
    assembly, passed = read(list(messages))
    return assembly, [x.index for x in passed]


def test_assembly_ignores_chunks_before_the_first_start() -> None:
    assembly, passed = feed((1, chunk(1, 0)), (2, end(1, 0)))
    assert passed == [] and assembly.finished is None and assembly.attempt is None


def test_assembly_ignores_a_start_of_another_request() -> None:
    assembly, passed = feed((1, start()), (2, start(9)), (3, chunk(1, 0)), (4, chunk(2, 1)), (5, end(2, 1)))
    assert passed == [0] and assembly.attempt == 1 and assembly.finished is None


def test_assembly_holds_a_chunk_after_a_gap_and_delays_the_end() -> None:
    assembly = Assembly(REQUEST)
    assembly.receive(1, start())
    assert assembly.receive(2, chunk(1, 1)) == [] and assembly.receive(3, chunk(1, 2)) == []
    assert assembly.receive(4, end(1, 3)) == [] and assembly.finished is None and assembly.end == end(1, 3)
    assert [x.index for x in assembly.receive(5, chunk(1, 0, sentence=4))] == [0, 1, 2]
    assert assembly.finished == end(1, 3)
    assert assembly.receive(6, chunk(1, 2)) == [] and assembly.receive(7, chunk(1, 0)) == []


def test_next_sentence_is_the_sentence_of_the_last_passed_chunk() -> None:
    assembly, _ = feed(
        (1, start()), (2, chunk(1, 0, sentence=0)), (3, chunk(1, 1, sentence=2)), (4, chunk(1, 3, b"", 5))
    )
    assert assembly.next_sentence == 2


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_assembly_accepts_a_failed_or_cancelled_end_at_once(status: EndStatus) -> None:
    assembly, _ = feed((1, start()), (2, chunk(1, 1)), (3, end(1, 5, status)))
    assert assembly.finished is not None and assembly.finished.status == status


def test_new_start_drops_held_chunks_and_a_pending_end() -> None:
    assembly, passed = feed((1, start()), (2, chunk(1, 0)), (3, chunk(1, 2)), (4, end(1, 3)), (5, start()))
    assert passed == [0] and assembly.end is None and assembly.finished is None
    assert assembly.receive(6, chunk(1, 1)) == [], "a chunk of the old attempt was passed on"
    assert assembly.receive(7, end(1, 1)) == [] and assembly.end is None
    assert [x.index for x in assembly.receive(8, chunk(5, 1))] == [1], "chunk 2 of the old attempt was passed on"


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_assembly_ignores_all_messages_after_an_accepted_end(status: EndStatus) -> None:
    """A reader may have acted on it, so a later reader must not get more audio."""
    assembly, passed = feed((1, start()), (2, chunk(1, 0)), (3, end(1, 1, status)), (4, start()), (5, chunk(4, 1)))
    assert passed == [0] and assembly.finished == end(1, 1, status)
    assert assembly.receive(6, end(4, 2)) == [] and assembly.finished == end(1, 1, status)
    assert assembly.receive(7, chunk(1, 1)) == []


def test_barren_counts_attempts_without_a_new_chunk() -> None:
    assembly, passed = feed(
        (1, start()),
        (2, start()),
        (3, chunk(2, 0)),
        (4, start()),
        (5, chunk(4, 0)),
        (6, chunk(4, 2)),
        (7, start()),
        (8, start(9)),
    )
    assert passed == [0] and assembly.without_progress == 2, "attempt 1 stored none, 4 no new chunk; 7 is the latest"


def test_barren_does_not_count_an_attempt_that_waited_for_text() -> None:
    """It had no text to speak. A `waiting` of another attempt does not count for it."""
    assembly, passed = feed(
        (1, start()),
        (2, AudioWaiting(1)),
        (3, start()),
        (4, AudioWaiting(1)),
        (5, start()),
        (6, AudioWaiting(5)),
        (7, start()),
    )
    assert passed == [] and assembly.without_progress == 1


def test_tail_is_the_end_of_the_last_chunk_that_counts() -> None:
    assembly = Assembly(REQUEST)
    assert assembly.tail == b""
    assembly.receive(1, start())
    assembly.receive(2, chunk(1, 0, b"abcd"))
    assembly.receive(3, chunk(1, 2, b"held"))
    assembly.receive(4, chunk(9, 1, b"of another attempt"))
    assert assembly.tail == b"cd"
    assembly.receive(5, chunk(1, 1, b"e"))
    assert assembly.tail == b"ld"
    assembly.receive(6, start())
    assert assembly.tail == b"ld"
    assembly.receive(7, chunk(6, 3, b"f"))
    assert assembly.tail == b"f"


def test_assembly_accepts_an_end_without_chunks() -> None:
    assembly, passed = feed((1, start()), (2, end(1, 0)))
    assert passed == [] and assembly.finished == end(1, 0)


def test_makers_contains_the_engines_whose_chunks_count() -> None:
    """Engine and version of attempts whose chunks count, not of attempts without chunks or of other requests."""
    old, new, older = (AudioStart(REQUEST, "flac", 24000, 1, "vits", "ko-KR", version) for version in ("1", "2", None))
    foreign = AudioStart(REQUEST + 1, "flac", 24000, 1, "other", "ko-KR", "9")
    assembly = Assembly(REQUEST)
    assert assembly.makers == set()
    seen = []
    for sequence, message in enumerate(
        [old, foreign, new, chunk(3, 0), chunk(3, 2), older, chunk(6, 1), new, chunk(3, 2), chunk(8, 3), chunk(8, 2)], 1
    ):
        assembly.receive(sequence, message)
        seen.append(set(assembly.makers))
    assert seen[2] == set(), "no chunk of the newest attempt counts yet"
    assert seen[3] == seen[5] == {("vits", "2")}
    assert seen[6] == seen[-1] == {("vits", "2"), ("vits", None)}
    assert assembly.next_index == 4


# ---- offsets and sentences


def placed(attempt: int, index: int, offset: int | None, *sentences: int) -> AudioChunk:
    starts = tuple(SentenceStart(number, 0, "x") for number in sentences)
    return AudioChunk(attempt, index, 0, 0, b"ab", None, offset, starts)


@pytest.mark.parametrize("wrong", [0, 1, 3, 4])
def test_a_chunk_with_a_contradicting_offset_does_not_count(wrong: int) -> None:
    """Nor does what follows it, until the same attempt or a later one stores the chunk that does."""
    assembly = Assembly(REQUEST)
    first, bad, good = placed(1, 0, 0), placed(1, 1, wrong), placed(1, 1, 2)
    assert assembly.receive(1, start()) == [] and assembly.receive(2, first) == [first]
    assert not assembly.contradicted
    assert assembly.receive(3, bad) == [] and assembly.contradicted
    assert (assembly.next_index, assembly.bytes) == (1, 2)
    after = placed(1, 2, 4)
    assert assembly.receive(4, after) == []
    assert assembly.receive(5, end(1, 3)) == [] and assembly.finished is None
    assert assembly.receive(6, good) == [good, after] and assembly.finished == end(1, 3)


def test_a_held_chunk_is_compared_when_its_turn_comes() -> None:
    assembly = Assembly(REQUEST)
    assembly.receive(1, start())
    bad, first = placed(1, 1, 3), placed(1, 0, 0)
    assert assembly.receive(2, bad) == [] and not assembly.contradicted, "nothing is known before chunk 0"
    assert assembly.receive(3, first) == [first] and assembly.contradicted
    assembly.receive(4, start())
    assert not assembly.contradicted, "the next attempt has contradicted nothing"
    chunks = [placed(4, 1, 2), placed(4, 2, None), placed(4, 3, 6)]
    assert [one for at, chunk in enumerate(chunks, 5) for one in assembly.receive(at, chunk)] == chunks


def test_an_offset_of_a_repeated_or_superseded_chunk_means_nothing() -> None:
    assembly = Assembly(REQUEST)
    assembly.receive(1, start())
    assembly.receive(2, placed(1, 0, 0))
    assembly.receive(3, placed(1, 0, 9))
    assembly.receive(4, placed(99, 1, 9))
    assert not assembly.contradicted and assembly.next_index == 1


def test_begun_is_the_last_sentence_that_a_counting_chunk_reports() -> None:
    assembly, seen = Assembly(REQUEST), []
    chunks = [placed(1, 0, 0), placed(1, 1, 2, 0, 1), placed(1, 3, 6, 2), placed(1, 2, 4), placed(1, 4, 9, 7)]
    for sequence, message in enumerate([start(), *chunks], 1):
        assembly.receive(sequence, message)
        seen.append(assembly.begun)
    assert seen == [-1, -1, 1, 1, 2, 2]
    assembly.receive(7, start())
    assembly.receive(8, placed(7, 4, 8, 1))
    assert assembly.begun == 1, "an attempt that repeats a sentence begins it again"


def test_begun_is_the_sentence_of_the_first_sample_in_chunks_without_offsets() -> None:
    assembly = Assembly(REQUEST)
    for sequence, message in enumerate([start(), chunk(1, 0), chunk(1, 1, sentence=3), chunk(1, 2, sentence=3)], 1):
        assembly.receive(sequence, message)
    assert assembly.begun == 3
