"""`FeedMerge` against a model of the stream: it yields each message once and in order.

The model has several literal subjects in one feed, deletions at any time, replicas that lag behind the leader, and live
copies that are dropped, repeated, late, or overtaken by copies of other subjects.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest

from orastream.jetstream.feed_merge import MAX_HELD, FeedMerge

pytestmark = pytest.mark.unit

RUNS = 500 * int(os.environ.get("FUZZ", "1"))


@dataclass(frozen=True)
class Message:
    subject: str
    sequence: int
    size: int = 1


def m(sequence: int, subject: str = "a") -> Message:
    return Message(subject, sequence)


class Stream:
    """The leader's messages, its log (which replicas replay) and the live copies not yet received by the reader."""

    def __init__(self, rng: random.Random, after: int) -> None:
        self.rng = rng
        self.last = after
        self.stored: dict[int, Message] = {}
        self.log: list[tuple[str, Message]] = []
        self.copies: list[tuple[Message, int]] = []

    def publish(self, subject: str) -> None:
        self.last += self.rng.choice((1, 1, 1, 2, 7))  # messages of other subjects are between
        message = Message(subject, self.last)
        previous = max((x.sequence for x in self.stored.values() if x.subject == subject), default=0)
        self.stored[self.last] = message
        self.log.append(("put", message))
        self.copies.append((message, previous))

    def delete(self) -> None:
        if self.stored:
            gone = self.stored.pop(self.rng.choice(list(self.stored)))
            self.log.append(("delete", gone))

    def replica(self) -> dict[int, Message]:
        """The messages of a replica: an earlier state of the leader."""
        lag = self.rng.choice((0, 0, 1, 2, 5, 20))
        state: dict[int, Message] = {}
        for kind, message in self.log[: max(0, len(self.log) - lag)]:
            if kind == "put":
                state[message.sequence] = message
            else:
                del state[message.sequence]
        return state

    def next_copy(self) -> tuple[Message, int] | None:
        """The first copy of a random subject: copies of one subject keep their order, subjects overtake each other."""
        if not self.copies:
            return None
        subject = self.rng.choice([copy.subject for copy, _ in self.copies])
        at = next(i for i, (copy, _) in enumerate(self.copies) if copy.subject == subject)
        return self.copies.pop(at)


class Reader:
    """Uses a FeedMerge as `feed.py` does, one step at a time, and checks the invariants after each step."""

    def __init__(self, stream: Stream, after: int) -> None:
        self.stream = stream
        self.merge: FeedMerge[Message] = FeedMerge(after)
        self.out: list[Message] = []
        self.read_up_to = after
        self.existed = after
        self.reading = False

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            assert message not in self.out, "yielded twice"
            same = [x.sequence for x in self.out if x.subject == message.subject]
            assert not same or same[-1] < message.sequence, "out of order"
            self.out.append(message)
        assert self.merge.verified <= self.read_up_to, "verified exceeds what was read"

    def live(self, message: Message, previous: int) -> None:
        self.take(self.merge.live(message, previous))

    def page(self) -> None:
        """One step of a read: a page from a replica, or the leader's answer if that page is empty."""
        if not self.reading:
            self.merge.begin_read()
            self.reading = True
            self.existed = self.stream.last
        above = [x for s, x in sorted(self.stream.replica().items()) if s > self.merge.verified]
        page = above[: self.stream.rng.choice((1, 2, 5))]
        if not page:
            page = [x for s, x in sorted(self.stream.stored.items()) if s > self.merge.verified][:1]
        if page:
            self.read_up_to = max(self.read_up_to, page[-1].sequence)
            self.take(self.merge.page(page))
        else:
            self.read_up_to = max(self.read_up_to, self.existed)
            self.take(self.merge.end_read())
            self.reading = False

    def fail(self) -> None:
        """The read failed."""
        self.reading = False
        self.merge.lost()

    def drop(self, kept: int) -> None:
        """Drop all but the first `kept` messages: the reader wants to have them again later."""
        self.out = self.out[:kept]
        self.merge = self.merge.restarted(self.out[-1])
        self.reading = False

    def read_to_the_end(self) -> None:
        for _ in range(10_000):
            self.page()
            if not self.reading and not self.merge.needs_read:
                return
        raise AssertionError("the feed never stops reading")


def run(seed: int) -> None:
    rng = random.Random(seed)
    after = rng.choice((0, 0, 5))
    stream, subjects = Stream(rng, after), "abc"[: rng.randint(1, 3)]
    reader = Reader(stream, after)
    delivered: list[tuple[Message, int]] = []
    drops = rng.choice((0.0, 0.1, 0.5))
    for _ in range(rng.randint(5, 60)):
        steps = (
            "publish",
            "publish",
            "live",
            "live",
            "live",
            "delete",
            "page",
            "page",
            "fail",
            "again",
            "exists",
            "drop",
        )
        match rng.choice(steps):
            case "publish":
                stream.publish(rng.choice(subjects))
            case "delete":
                stream.delete()
            case "live":
                copy = stream.next_copy()
                if copy is not None and rng.random() >= drops:
                    delivered.append(copy)
                    reader.live(*copy)
            case "again" if delivered:
                reader.live(*rng.choice(delivered))
            case "page" if reader.reading or reader.merge.needs_read:
                reader.page()
            case "fail" if reader.reading:
                reader.fail()
            case "drop" if reader.out and len(subjects) == 1:
                reader.drop(rng.randint(1, len(reader.out)))
            case "exists":  # a consumer delivers a message, which may be deleted by now
                reader.merge.exists(rng.randint(after, stream.last))
    while (copy := stream.next_copy()) is not None:
        if rng.random() >= drops:
            reader.live(*copy)
    reader.merge.exists(stream.last)
    reader.merge.lost()  # as after a silence
    reader.read_to_the_end()
    assert reader.merge.verified == stream.last, "a sequence that exists is never verified"
    missing = [x for x in stream.stored.values() if x not in reader.out]
    assert not missing, f"stored but never yielded: {missing}"


def test_merge_yields_every_stored_message_once_and_in_order() -> None:
    for seed in range(RUNS):
        try:
            run(seed)
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc


def test_merge_yields_the_first_live_message_without_a_read() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    assert merge.needs_read
    assert merge.live(m(5), 0) == [m(5)]
    assert merge.live(m(6), 5) == [m(6)]
    assert merge.verified == 0


def test_live_messages_do_not_raise_verified() -> None:
    merge: FeedMerge[Message] = FeedMerge(3)
    merge.begin_read()
    assert merge.end_read() == []
    for sequence in range(4, 10):
        assert merge.live(m(sequence), sequence - 1) == [m(sequence)]
    assert merge.verified == 3 and not merge.needs_read
    assert merge.page([m(4), m(5)]) == []
    assert merge.verified == 5


def test_read_to_the_end_verifies_messages_that_existed_when_it_began() -> None:
    merge: FeedMerge[Message] = FeedMerge(3)
    merge.exists(9)
    merge.exists(8)
    merge.begin_read()
    merge.exists(12)
    assert merge.end_read() == [] and merge.verified == 9, (
        "12 was verified, although it may have been stored after the leader's answer"
    )
    merge.begin_read()
    assert merge.page([m(11)]) == [m(11)]
    assert merge.end_read() == [] and merge.verified == 12


def test_forged_live_message_does_not_hide_messages_stored_later() -> None:
    """Any publisher can forge a sequence; only live messages of the forged subject are dropped then."""
    merge: FeedMerge[Message] = FeedMerge(0)
    assert merge.live(m(9_000_000_000_000_000, "forged"), 0) != []
    merge.begin_read()
    assert merge.end_read() == [] and merge.verified == 0
    assert merge.live(m(1), 0) == [m(1)]
    merge.begin_read()
    assert merge.page([m(1), m(2)]) == [m(2)]


def test_merge_holds_messages_after_a_gap_until_a_read_has_filled_it() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    merge.begin_read()
    merge.end_read()
    assert merge.live(m(1), 0) == [m(1)]
    assert merge.live(m(4), 3) == []
    assert merge.live(m(5), 4) == []
    assert merge.needs_read
    assert merge.live(m(6, "b"), 2) == [], "subject b has a gap, but its message was yielded"
    assert merge.live(m(7, "c"), 0) == [m(7, "c")], "subject c has no gap, but its message was held"
    merge.begin_read()
    assert merge.page([m(1), m(2, "b"), m(3)]) == [m(2, "b"), m(3), m(4), m(5), m(6, "b")]
    assert merge.page([m(4), m(5), m(6, "b"), m(7, "c")]) == []
    assert merge.end_read() == [] and not merge.needs_read


def test_late_live_message_fills_the_gap() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    assert merge.live(m(2), 1) == []
    assert merge.live(m(1), 0) == [m(1), m(2)]


def test_deleted_predecessor_is_no_gap_and_its_late_copy_is_dropped() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    assert merge.live(m(1), 0) == [m(1)]
    assert merge.live(m(3), 1) == [m(3)], "3 was held, although 2 was deleted before 3 was stored"
    assert merge.live(m(2), 1) == [], "2 was yielded after 3"
    merge.begin_read()
    assert merge.page([m(1), m(2), m(3)]) == [], "a replica without the deletion made the merge yield messages again"


def test_read_drops_held_messages_that_are_no_longer_stored() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    assert merge.live(m(9), 8) == []
    merge.begin_read()
    assert merge.end_read() == [] and not merge.needs_read
    assert merge.live(m(10), 9) == [], "a message was yielded before its predecessor was seen"
    merge.begin_read()
    assert merge.page([m(10)]) == [m(10)]
    assert merge.live(m(9), 8) == []


def test_message_held_during_a_read_requires_another_read() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    merge.begin_read()
    assert merge.live(m(9), 8) == []
    assert merge.end_read() == [] and merge.needs_read


def test_loss_during_a_read_requires_another_read() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    merge.begin_read()
    merge.lost()
    merge.end_read()
    assert merge.needs_read


def test_merge_holds_bounded_memory() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    merge.max_held_bytes = 1000
    stored = [Message("a", sequence, 300) for sequence in range(1, 9)]
    for message in stored[1:]:
        assert merge.live(message, message.sequence - 1) == []
    assert merge.live(stored[0], 0) == stored[:4], "three more were held"
    merge.begin_read()
    assert merge.page(stored) == stored[4:]
    assert merge.end_read() == [] and not merge.needs_read
    assert merge.live(Message("a", 11, 300), 10) == []
    assert merge.live(Message("a", 10, 300), 9) == []
    assert merge.live(Message("a", 9, 300), 8) == [Message("a", sequence, 300) for sequence in (9, 10, 11)]


def test_merge_holds_a_bounded_number_of_messages() -> None:
    merge: FeedMerge[Message] = FeedMerge(0)
    for sequence in range(2, 4 * MAX_HELD):
        assert merge.live(m(sequence), sequence - 1) == []
    merge.begin_read()
    stored = [m(sequence) for sequence in range(1, 4 * MAX_HELD)]
    out = merge.page(stored[:1])
    while merge.verified < stored[-1].sequence:
        out += merge.page(stored[merge.verified : merge.verified + 100])
    assert out == stored
    assert merge.end_read() == [] and not merge.needs_read
    for sequence in range(5000, 15_000):  # without a silence there is no read
        merge.live(m(sequence), 0 if sequence == 5000 else sequence - 1)
    kept = [value for value in vars(merge).values() if isinstance(value, dict | set)]
    assert sum(map(len, kept)) < 2 * MAX_HELD
