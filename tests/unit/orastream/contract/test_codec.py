"""Any bytes decode to a map or raise Undecodable; a map is the same after encoding and decoding."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.codec import Encoding
from orastream.contract.errors import InvalidRequest, Undecodable

pytestmark = pytest.mark.unit

TEXT = st.text(max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(TEXT, VALUES, max_size=5)


def decoded(payload: bytes) -> dict[str, Any] | None:
    """Return the map, or None if it raised Undecodable; check the message."""
    try:
        value = codec.decode(payload)
    except Undecodable as exc:
        assert exc.field == "payload" and exc.code == "invalid_request"
        return None
    assert type(value) is dict and all(type(key) is str for key in value)
    return value


@settings(max_examples=25)
@given(MAPS, st.sampled_from(["json", "msgpack"]))
def test_map_is_the_same_after_encoding_and_decoding(value: dict[str, Any], encoding: Encoding) -> None:
    payload = codec.encode(value, encoding)
    assert codec.encoding_of(payload) == encoding
    assert codec.decode(payload) == value


@settings(max_examples=100)
@given(st.binary(max_size=40))
@example(b"\xc1")
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\x00}\x00")
def test_decode_raises_only_undecodable_for_arbitrary_bytes(payload: bytes) -> None:
    decoded(payload)


@settings(max_examples=100)
@given(st.sampled_from([0x80, 0x81, 0x82, 0x8F, 0xDE, 0xDF]), st.binary(max_size=40))
def test_decode_raises_only_undecodable_for_bytes_that_look_like_msgpack(first: int, rest: bytes) -> None:
    decoded(bytes([first]) + rest)


@settings(max_examples=25)
@given(MAPS, st.sampled_from(["json", "msgpack"]), st.data())
def test_decode_raises_only_undecodable_for_damaged_payloads(
    value: dict[str, Any], encoding: Encoding, data: st.DataObject
) -> None:
    payload = bytearray(codec.encode(value, encoding))
    at = data.draw(st.integers(0, len(payload) - 1))
    match data.draw(st.sampled_from(["cut", "flip", "add"])):
        case "cut":
            del payload[at:]
        case "flip":
            payload[at] ^= 1 << data.draw(st.integers(0, 7))
        case _:
            payload.insert(at, data.draw(st.integers(0, 255)))
    decoded(bytes(payload))


DEEP = 100_000
REFUSED = {
    "empty": b"",
    "space": b"  ",
    "json deep lists": b"[" * DEEP,
    "json deep lists closed": b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "json deep maps": b'{"a":' * DEEP,
    "json deep maps closed": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "msgpack deep lists": b"\x81\xa1a" + b"\x91" * DEEP + b"\xc0",
    "msgpack deep maps": b"\x81\xa1a" * DEEP + b"\xc0",
    "msgpack deep keys": b"\x81" * DEEP + b"\xc0",
    "json NaN": b'{"speed":NaN}',
    "json Infinity": b'{"speed":Infinity}',
    "json -Infinity": b'{"speed":-Infinity}',
    "json huge integer": b'{"a":' + b"9" * 5000 + b"}",
    "json list": b"[1]",
    "json string": b'"a"',
    "json null": b"null",
    "json number": b"1",
    "json trailing": b"{} x",
    "json two": b"{}{}",
    "json cut": b'{"text":"secret',
    "json single quotes": b"{'a':1}",
    "json control": b'{"a":"\n"}',
    "json bad escape": b'{"a":"\\x"}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "not utf-8": b'{"text":"\xff"}',
    "utf-8 of a surrogate": b'{"text":"\xed\xa0\x80"}',
    "msgpack list": b"\x91\x01",
    "msgpack trailing": b"\x80\x80",
    "msgpack cut": b"\x81\xa4text",
    "msgpack promises too much": b"\xdf\xff\xff\xff\xff",
    "msgpack promises a huge string": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "msgpack promises a huge list": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "msgpack string not utf-8": b"\x81\xa1a\xa1\xff",
    "msgpack string of a surrogate": b"\x81\xa1a\xa3\xed\xa0\x80",
    "msgpack list as a key": b"\x81\x90\x01",
    "msgpack map as a key": b"\x81\x80\x01",
    "msgpack reserved byte": b"\x81\xa1a\xc1",
    "msgpack timestamp of a wrong length": b"\x81\xa1a\xc7\x03\xff\x00\x00\x00",
    "msgpack timestamp out of range": b"\x81\xa1a" + b"\xd7\xff" + b"\xff" * 8,
    "msgpack bytes as a key": b"\x81\xc4\x09requestId\xa2r1",
}


def test_decode_refuses_other_payloads_without_quoting_them() -> None:
    for name, payload in REFUSED.items():
        with pytest.raises(Undecodable) as caught:
            codec.decode(payload)
            pytest.fail(name)
        assert "secret" not in str(caught.value), name


def test_decode_leaves_out_one_byte_order_mark() -> None:
    """An editor does not show it. One alone is still no object: as a cancel it must not become one of all requests."""
    assert codec.decode(b"\xef\xbb\xbf" + b'{"text":"a"}') == {"text": "a"}
    for wrong in (b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\xef\xbb{}", b" \xef\xbb\xbf{}", b"\xff\xfe{\0}\0"):
        with pytest.raises(Undecodable):
            codec.decode(wrong)


def test_decode_accepts_unusual_maps() -> None:
    assert codec.decode(b'{"a":"\\ud800"}') == {"a": "\ud800"}  # `messages` refuses it in the fields of the contract
    assert math.isinf(codec.decode(b'{"a":1e999}')["a"])
    assert codec.decode(b' \n{"a":1,"a":2}') == {"a": 2}
    assert codec.decode(b'{"a":' + b"[" * 400 + b"]" * 400 + b"}")["a"]
    assert codec.decode(b'{"a":' + b"9" * 4000 + b"}")["a"] == int("9" * 4000)
    assert math.isnan(codec.decode(b"\x81\xa1a\xcb" + struct.pack(">d", math.nan))["a"])
    assert codec.decode(b"\x81\xa1a\xc4\x01\xff") == {"a": b"\xff"}
    assert codec.decode(msgpack.packb({"a": msgpack.ExtType(5, b"x")})) == {"a": msgpack.ExtType(5, b"x")}
    assert codec.decode(msgpack.packb({"a": msgpack.Timestamp(1, 2)})) == {"a": msgpack.Timestamp(1, 2)}
    assert codec.decode(msgpack.packb({1: 2, None: 3, 2.5: 4, "a": 1})) == {"a": 1}


def test_encoding_is_chosen_by_the_first_byte() -> None:
    for first in range(256):
        is_map = 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)
        assert codec.encoding_of(bytes([first]) + b"rest") == ("msgpack" if is_map else "json")
    assert codec.encoding_of(b"") == "json"
    for size in (0, 15, 16, 300):
        value = {str(n): n for n in range(size)}
        for encoding in ("json", "msgpack"):
            payload = codec.encode(value, encoding)
            assert codec.encoding_of(payload) == encoding and codec.decode(payload) == value


def test_encode_writes_compact_utf8_json() -> None:
    assert (
        codec.encode({"text": "안녕", "a": [1, 2.5, None, True]}, "json")
        == '{"text":"안녕","a":[1,2.5,null,true]}'.encode()
    )
    assert json.loads(codec.encode({"a": '\u2028\x00"'}, "json")) == {"a": '\u2028\x00"'}


def test_undecodable_is_an_invalid_request() -> None:
    assert issubclass(Undecodable, InvalidRequest)
