"""The record of what was heard: its encodings, and which record may replace which."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.codec import Encoding
from orastream.contract.errors import Undecodable
from orastream.contract.heard import (
    Cut,
    Heard,
    HeardBy,
    HeardState,
    heard_state_of,
    left_undone,
    may_replace,
    surely_done,
)
from orastream.jetstream.api import Stored

pytestmark = pytest.mark.unit

ENCODINGS = get_args(Encoding)
MAP: dict[str, Any] = {"requestId": "r", "sessionId": "s", "requestSeq": 7, "done": False, "heardBy": "sent"}
NUMBERS = st.integers(0, 2**53 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
RECORDS = st.fixed_dictionaries(
    {
        "request_id": TEXTS,
        "session_id": TEXTS,
        "request_seq": NUMBERS,
        "epoch": NUMBERS,
        "done": st.booleans(),
        "heard_by": st.sampled_from(get_args(HeardBy)),
        "played_ms": st.none() | NUMBERS,
        "heard_text": st.none() | TEXTS,
        "unheard_text": st.none() | TEXTS,
        "cut": st.none() | st.sampled_from(get_args(Cut)),
        "cancel_seq": st.none() | NUMBERS,
    }
).map(lambda fields: Heard(**fields))


def record(request_seq: int, epoch: int, **more: Any) -> Heard:
    fields: dict[str, Any] = {"done": False, "heard_by": "sent"} | more
    return Heard(request_id="r", session_id="s", request_seq=request_seq, epoch=epoch, **fields)


@given(RECORDS, st.sampled_from(ENCODINGS))
def test_what_is_surely_done_is_done(heard: Heard, encoding: Encoding) -> None:
    for text in (heard.heard_text, '"done":true', '\\"done":true'):
        for one in (heard.with_(heard_text=text, done=False), heard.with_(request_id=str(text), done=False)):
            assert not surely_done(one.encode(encoding))
    assert surely_done(heard.with_(done=True).encode("json"))


@given(RECORDS, st.sampled_from(ENCODINGS))
def test_record_is_the_same_after_encoding_and_decoding(heard: Heard, encoding: Encoding) -> None:
    data = heard.encode(encoding)
    assert codec.encoding_of(data) == encoding
    assert Heard.decode(data) == heard


WIRE = [
    "requestId",
    "sessionId",
    "requestSeq",
    "epoch",
    "done",
    "heardBy",
    "playedMs",
    "heardText",
    "unheardText",
    "cut",
    "cancelSeq",
]


def test_record_has_exactly_the_wire_names_of_the_contract() -> None:
    assert list(record(7, 0).to_map()) == WIRE


def test_absent_fields_are_null_on_the_wire_and_may_be_missing() -> None:
    heard = Heard.decode(codec.encode(MAP, "json"))
    assert heard == record(7, 0)
    nulls = dict.fromkeys(("playedMs", "heardText", "unheardText", "cut", "cancelSeq"))
    assert codec.decode(heard.encode("json")) == MAP | nulls | {"epoch": 0}


def test_fields_of_a_later_version_are_ignored() -> None:
    assert Heard.decode(codec.encode(MAP | {"volume": 3, "played_ms": 9}, "json")) == record(7, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"requestId": None},
        {"requestSeq": "x"},
        {"done": None},
        {"done": 2},
        {"heardBy": "guessed"},
        {"playedMs": -1},
        {"playedMs": 0.5},
        {"heardText": 1},
        {"cut": "letters"},
        {"cancelSeq": "later"},
    ],
    ids=repr,
)
def test_decode_raises_undecodable_for_a_wrong_field(change: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        Heard.decode(codec.encode(MAP | change, "json"))


@pytest.mark.parametrize("name", ["requestId", "sessionId", "requestSeq", "done", "heardBy"])
def test_decode_raises_undecodable_without_a_field(name: str) -> None:
    with pytest.raises(Undecodable):
        Heard.decode(codec.encode({key: value for key, value in MAP.items() if key != name}, "json"))


@given(st.binary(max_size=40))
def test_foreign_bytes_give_no_record(data: bytes) -> None:
    state = heard_state_of(Stored("tts.heard.s.r", 3, "2026-01-01T00:00:00Z", data))
    assert state is None or state.heard == Heard.decode(data)


def test_state_has_the_sequence_the_time_and_the_encoding_of_the_message() -> None:
    heard = record(7, 2)
    message = Stored("tts.heard.s.r", 30, "1970-01-01T00:00:01.5Z", heard.encode("msgpack"))
    assert heard_state_of(message) == HeardState(heard, 30, 1.5, "msgpack")


def test_record_of_a_later_request_or_of_no_older_owner_replaces() -> None:
    for seq, epoch, my_seq, my_epoch in product((3, 4), (0, 1, 2), (3, 4), (0, 1, 2)):
        allowed = may_replace(record(seq, epoch), record(my_seq, my_epoch))
        assert allowed is ((my_seq, my_epoch) >= (seq, epoch) if seq == my_seq else my_seq > seq)


def test_record_that_is_done_is_replaced_by_that_of_a_cancel() -> None:
    done = record(3, 1, done=True, heard_by="played", played_ms=900, heard_text="a b", unheard_text="")
    less = done.with_(played_ms=400, heard_text="a", unheard_text="b", cut="words", cancel_seq=9)
    assert may_replace(done, less)


def test_what_is_left_began_when_it_was_sent_or_when_the_one_before_it_was_over() -> None:
    """All were sent within a second; the first one was over 4 s later, and the third one was delivered as a file."""
    first = record(1, 5, done=True, heard_by="sent", played_ms=4000, heard_text="a", unheard_text="")
    file = record(3, 5, done=True, heard_by="unknown")
    states = [HeardState(record(4, 5), 13, 10.8), HeardState(record(2, 5), 11, 10.2), HeardState(first, 14, 14.0)]
    newer = HeardState(record(5, 7), 16, 20.0)
    found = left_undone([*states, HeardState(file, 15, 18.0), newer], 7)
    assert [(state.heard.request_seq, began_at_s) for state, began_at_s in found] == [(2, 14.0), (4, 14.0)]
