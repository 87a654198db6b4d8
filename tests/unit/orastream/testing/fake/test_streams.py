"""The streams of `FakeNode`: filters, repeated messages, and the last message of a subject."""

from __future__ import annotations

import json

import pytest

from orastream.jetstream.place import place_of
from orastream.testing.fake.streams import MemoryStream, header_block, matches, place_headers

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*", "a", False),
        ("*.b", "a.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
    ],
)
def test_filters(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


def test_a_stream_knows_ids_and_keeps_the_last_of_a_subject() -> None:
    stream = MemoryStream("REPORTS", one_each=True)
    first = stream.add("r.s.1", b"one", header_block({"Nats-Msg-Id": "x"}))
    stream.add("r.s.2", b"two")
    last = stream.add("r.s.1", b"three")
    assert (stream.repeated("x"), stream.repeated("y"), stream.repeated(None)) == (first.sequence, None, None)
    assert [message.data for message in stream.after("r.s.*", 0)] == [b"two", b"three"]
    assert stream.after("r.s.*", last.sequence) == [] and stream.last("r.other.*") is None
    assert place_of(place_headers(last, 2)) == ("r.s.1", 3, last.time, 2)
    assert json.loads(stream.answer({"seq": 1}))["error"]["err_code"] == 10037
    assert json.loads(stream.answer({"seq": 1, "next_by_subj": "r.>"}))["message"]["seq"] == 2
    stream.delete(2)
    stream.delete(2)
    assert [message.sequence for message in stream.after(">", 0)] == [3]
