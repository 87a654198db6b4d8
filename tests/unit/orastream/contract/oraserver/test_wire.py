from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.errors import Undecodable
from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello, CancelUtterances, unpack_from_bridge
from orastream.contract.oraserver.from_server import (
    SERVER_MESSAGES,
    ServerError,
    ServerHello,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
    unpack_from_server,
)
from orastream.contract.oraserver.wire import MAX_INT, WireMessage, unpack_as

ACK: dict[str, Any] = {"t": "ack", "s": 1, "upto": 5, "limit": 9, "seen": 3}
AUDIO: dict[str, Any] = {"t": "audio", "s": 1, "at": 0, "data": b"x"}

counts = st.integers(0, MAX_INT)
offsets = st.lists(counts, max_size=8, unique=True).map(sorted)


@st.composite
def byte_ranges(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    at = draw(offsets)
    return tuple(zip(at[::2], at[1::2], strict=False))


def packed(fields: object) -> bytes:
    data: bytes = msgpack.packb(fields)
    return data


@given(st.builds(StreamAck, st.integers(1, MAX_INT), counts, counts, counts, byte_ranges(), st.none() | counts))
def test_ack_round_trip(message: StreamAck) -> None:
    assert unpack_from_server(message.pack()) == message


near = st.sampled_from([0, 1, 2, MAX_INT, MAX_INT + 1, -1, True, 1.0, None, "1"])


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("s", "upto", "limit", "seen", "size", "x"), near)))
def test_the_quick_way_to_read_an_ack_accepts_and_refuses_the_same(numbers: dict[str, Any]) -> None:
    def read(decode: Callable[[bytes], WireMessage | None]) -> WireMessage | str | None:
        try:
            return decode(packed({"t": "ack"} | numbers))
        except Undecodable as exc:
            return str(exc)

    assert read(unpack_from_server) == read(lambda data: unpack_as(SERVER_MESSAGES, data))


@given(
    st.builds(
        AudioRange,
        st.integers(1, MAX_INT),
        counts,
        st.binary(min_size=1, max_size=70_000),
        ms=st.none() | counts,
        crc=st.none() | st.integers(0, 2**32 - 1),
    )
)
def test_audio_is_written_in_parts(message: AudioRange) -> None:
    assert b"".join(message.parts()) == message.pack()
    assert unpack_from_bridge(message.pack()) == message


@pytest.mark.parametrize(
    "message",
    [
        CancelUtterances("s", 3, before=4),
        CancelUtterances("s", 3, seq=4),
        UtterancesCleared("s", (("r", 1, 0), ("q", 2, 1500)), before=4),
        StreamOpened(1, 0, 4096),
        ServerError("busy"),
    ],
)
def test_round_trip_without_optional_keys(message: WireMessage) -> None:
    unpack = unpack_from_bridge if isinstance(message, CancelUtterances) else unpack_from_server
    assert unpack(message.pack()) == message


def test_unknown_types_and_keys_are_ignored() -> None:
    assert unpack_from_server(packed({"t": "weather", "s": 1})) is None
    assert unpack_from_server(packed(ACK | {"mood": [1, {"x": None}]})) == StreamAck(1, 5, 9, 3)


def test_a_message_is_encoded_with_further_and_with_other_values() -> None:
    cancel = CancelUtterances("s", 1, before=2)
    assert msgpack.unpackb(cancel.pack(seq=None, more=[1])) == {
        **{"t": "cancel", "session": "s", "epoch": 1, "before": 2},
        **{"seq": None, "more": [1]},
    }
    assert unpack_from_bridge(cancel.pack(seq=None, more=[1])) == cancel


def test_nil_is_the_same_as_a_missing_optional_key() -> None:
    assert unpack_from_server(packed(ACK | {"size": None, "ranges": None})) == StreamAck(1, 5, 9, 3)


RANGES = "an array of [from, to] that are in order, apart and not empty"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"s": 0}, "`s` of `ack` must be an integer from 1 to 2^53 - 1, and is 0"),
        ({"s": "1"}, "`s` of `ack` must be an integer from 1 to 2^53 - 1, and is a string"),
        ({"s": None}, "`s` of `ack` must be an integer from 1 to 2^53 - 1, and is nil"),
        ({"upto": -1}, "`upto` of `ack` must be an integer from 0 to 2^53 - 1, and is -1"),
        ({"upto": True}, "`upto` of `ack` must be an integer from 0 to 2^53 - 1, and is true"),
        ({"upto": 1.0}, "`upto` of `ack` must be an integer from 0 to 2^53 - 1, and is a float"),
        ({"limit": MAX_INT + 1}, f"`limit` of `ack` must be an integer from 0 to 2^53 - 1, and is {MAX_INT + 1}"),
        ({"seen": ...}, "`ack` has no `seen`: it must be an integer from 0 to 2^53 - 1"),
        ({"ranges": [[5, 5]]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": [[8, 7]]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": [[5, 8], [8, 9]]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": [[5, 8, 9]]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": [5]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": [b"\x05\x08"]}, f"`ranges` of `ack` must be {RANGES}, and is an array"),
        ({"ranges": {"5": 8}}, f"`ranges` of `ack` must be {RANGES}, and is a map"),
        ({"size": "9"}, "`size` of `ack` must be an integer from 0 to 2^53 - 1, and is a string"),
        ({"t": ...}, "the map has no `t`: it must be a string, the type of the message"),
    ],
)
def test_bad_ack(change: dict[str, Any], problem: str) -> None:
    """The problem names the key, what it must be, and what it is. `...`: the key is left out."""
    fields = {key: value for key, value in (ACK | change).items() if value is not ...}
    with pytest.raises(Undecodable) as caught:
        unpack_from_server(packed(fields))
    assert caught.value.problem == problem


@given(st.text(alphabet="가나다라마바사", min_size=2), st.sampled_from(["n", "ms", "from", "words"]))
def test_a_problem_has_no_text_of_the_message(spoken: str, key: str) -> None:
    fields = {"t": "text", "s": 1, "n": 0, "ms": 0, "text": spoken} | {key: spoken}
    with pytest.raises(Undecodable) as caught:
        unpack_from_bridge(packed(fields))
    assert spoken not in str(caught.value) and f"`{key}`" in str(caught.value)


def test_words_are_arrays() -> None:
    text = {"t": "text", "s": 1, "n": 0, "ms": 0, "text": "x"}
    assert unpack_from_bridge(packed(text | {"words": [[0, 1, 0, 9]]})) is not None
    with pytest.raises(Undecodable, match="words"):
        unpack_from_bridge(packed(text | {"words": [b"\x00\x01\x00\x09"]}))


@pytest.mark.parametrize("change", [{"data": b""}, {"data": "x"}, {"data": None}, {"at": None}, {"crc": "0"}])
def test_bad_audio(change: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        unpack_from_bridge(packed(AUDIO | change))


def test_the_two_hellos_are_different_messages() -> None:
    hello = BridgeHello(2, "tts", "ws_bridge-1", "orastream/0")
    assert unpack_from_bridge(hello.pack()) == hello
    with pytest.raises(Undecodable, match="credit"):
        unpack_from_server(hello.pack())
    assert unpack_from_server(ServerHello(2, 4096, 1, ("wav",), 0).pack()) == ServerHello(2, 4096, 1, ("wav",), 0)


@pytest.mark.parametrize("payload", [b"", b"\xc1", packed([1]), packed({}), packed({"t": 1}), packed(ACK) + b"\x00"])
def test_not_a_message(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        unpack_from_server(payload)


@given(st.binary(max_size=200))
def test_any_bytes(payload: bytes) -> None:
    for unpack in (unpack_from_bridge, unpack_from_server):
        try:
            unpack(payload)
        except Undecodable:
            pass


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.binary(max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["hello", "open", "ack", "cleared", "audio", "text"]),
    st.dictionaries(st.text(max_size=6), json_like),
)
def test_any_map(kind: str, fields: dict[str, Any]) -> None:
    for unpack in (unpack_from_bridge, unpack_from_server):
        try:
            unpack(packed(fields | {"t": kind}))
        except Undecodable:
            pass
