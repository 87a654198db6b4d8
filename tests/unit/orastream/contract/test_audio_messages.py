"""Audio messages are encoded and decoded with the contract's fields; other bytes raise only Undecodable."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import PcmSpec
from orastream.contract.audio_messages import (
    AudioChunk,
    AudioEnd,
    AudioMessage,
    AudioStart,
    AudioWaiting,
    EndError,
    unpack,
)
from orastream.contract.errors import RETRYABLE, Undecodable

pytestmark = pytest.mark.unit

START: dict[str, Any] = {
    "type": "start",
    "request_seq": 3,
    "format": "wav",
    "sample_rate_hz": 24000,
    "channels": 1,
    "engine": "espeak",
    "language": "ko-KR",
}
TOLD = {"engine_version": "1-b0c4"}
CHUNK: dict[str, Any] = {"type": "chunk", "attempt": 9, "index": 0, "pts_ms": 0, "sentence": 0, "audio": b"\x01\x02"}
END: dict[str, Any] = {
    "type": "end",
    "attempt": 9,
    "status": "complete",
    "total_chunks": 1,
    "total_bytes": 2,
    "audio_seconds": 0.5,
    "error": None,
    "rtf": 0.25,
}


WAITING: dict[str, Any] = {"type": "waiting", "attempt": 9}
FAILED = END | {"status": "failed", "error": {"code": "engine_error", "message": "broken"}}
SAID = {"text": "안녕하세요."}


@pytest.mark.parametrize("wire", [START, START | TOLD, CHUNK, CHUNK | SAID, WAITING, END, END | SAID, FAILED])
def test_messages_have_exactly_the_wire_names_of_the_contract(wire: dict[str, Any]) -> None:
    packed = msgpack.packb(wire)
    message = unpack(packed)
    assert msgpack.unpackb(message.pack()) == wire
    assert list(msgpack.unpackb(message.pack())) == list(wire)


COUNT = st.integers(0, 2**63)
MESSAGES = st.one_of(
    st.builds(
        AudioStart,
        COUNT,
        st.text(max_size=5),
        st.integers(1, 2**31),
        st.integers(1, 8),
        st.text(),
        st.text(),
        st.none() | st.text(max_size=5),
    ),
    st.builds(AudioChunk, COUNT, COUNT, COUNT, COUNT, st.binary(max_size=20), st.none() | st.text(max_size=5)),
    st.builds(AudioWaiting, COUNT),
    st.builds(
        AudioEnd,
        COUNT,
        st.sampled_from(["complete", "failed", "cancelled"]),
        COUNT,
        COUNT,
        st.floats(0, 1e9) | st.integers(0, 9),
        st.none() | st.builds(EndError, st.sampled_from(sorted(RETRYABLE)), st.text(max_size=5)),
        st.none() | st.floats(0, 1e3),
        st.none() | st.text(max_size=5),
    ),
)


@settings(max_examples=60)
@given(MESSAGES)
def test_messages_are_the_same_after_encoding_and_decoding(message: AudioMessage) -> None:
    assert unpack(message.pack()) == message


def test_start_returns_its_pcm_spec() -> None:
    start = unpack(msgpack.packb(START | {"channels": 2}))
    assert isinstance(start, AudioStart) and start.spec == PcmSpec(24000, 2)


def test_unpack_accepts_a_start_without_engine_version() -> None:
    start = unpack(msgpack.packb(START))
    assert isinstance(start, AudioStart) and start.engine_version is None
    assert start == AudioStart(3, "wav", 24000, 1, "espeak", "ko-KR")


def test_unpack_ignores_unknown_fields_and_accepts_an_absent_error() -> None:
    assert unpack(msgpack.packb(CHUNK | {"new": 1})) == unpack(msgpack.packb(CHUNK))
    assert unpack(msgpack.packb({k: v for k, v in END.items() if k != "error"})) == unpack(msgpack.packb(END))


WHOLE: list[Any] = ["1", None, 1.5, -1, True, []]
WRONG: list[tuple[dict[str, Any], list[str], list[Any]]] = [
    (START, ["request_seq", "sample_rate_hz", "channels"], WHOLE),
    (START, ["format", "engine", "language"], [1, None, b"wav", {}]),
    (START, ["engine_version"], [b"1", 5, [1], {}, True]),
    (START, ["sample_rate_hz", "channels"], [0]),
    (CHUNK, ["attempt", "index", "pts_ms", "sentence"], WHOLE),
    (CHUNK, ["audio"], [None, "text", 5, [1], {}]),
    (CHUNK, ["text"], [b"text", 5, [1], {}, True]),
    (END, ["text"], [b"text", 5, [1], {}, True]),
    (WAITING, ["attempt"], WHOLE),
    (END, ["attempt", "total_chunks", "total_bytes"], WHOLE),
    (END, ["status"], ["done", "", None, 1, [], {}, b"complete"]),
    (END, ["audio_seconds"], ["1", None, [], float("nan"), float("inf"), -1.0, True]),
    (END, ["error"], [1, b"x", {}, []]),
    *((wire, ["type"], ["", "Start", None, 1, [], {}, b"chunk", "x" * 99]) for wire in (START, CHUNK, END)),
]


@pytest.mark.parametrize(("wire", "fields", "values"), WRONG)
def test_unpack_refuses_a_field_of_a_wrong_type(wire: dict[str, Any], fields: list[str], values: list[Any]) -> None:
    for field in fields:
        for bad in values:
            with pytest.raises(Undecodable) as caught:
                unpack(msgpack.packb(wire | {field: bad}))
            assert len(str(caught.value)) < 200


@pytest.mark.parametrize("wire", [START, CHUNK, WAITING, END])
def test_unpack_refuses_a_message_without_a_required_field(wire: dict[str, Any]) -> None:
    for missing in wire.keys() - {"error", "rtf"}:
        with pytest.raises(Undecodable):
            unpack(msgpack.packb({k: v for k, v in wire.items() if k != missing}))


def test_unpack_refuses_other_payloads() -> None:
    for payload in [
        b"",
        b"{}",
        b"\x80",
        b"\x90",
        b"\xc0",
        b"\x01",
        b"\xc1",
        b"\xa4type",
        b"\x91" * 100_000,
        b"\x81\xa4type" * 100_000,
        b"\x81\xa4type\xa1\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\x90\x01",
        b"\x81\x01\x01",
        msgpack.packb(CHUNK) + b"\x00",
        msgpack.packb(CHUNK)[:-1],
        msgpack.packb([CHUNK]),
        msgpack.packb({"type": msgpack.ExtType(1, b"x")}),
        msgpack.packb({"type": msgpack.Timestamp(0)}),
    ]:
        with pytest.raises(Undecodable):
            unpack(payload)


@settings(max_examples=100)
@given(st.sampled_from([START, CHUNK, END]), st.integers(0, 10_000), st.integers(0, 255))
def test_unpack_raises_only_undecodable_for_a_damaged_message(wire: dict[str, Any], at: int, byte: int) -> None:
    payload = bytearray(msgpack.packb(wire))
    payload[at % len(payload)] = byte
    try:
        message = unpack(bytes(payload))
    except Undecodable:
        return
    message.pack()


@settings(max_examples=60)
@given(st.binary(max_size=30))
def test_unpack_raises_only_undecodable_for_arbitrary_bytes(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        unpack(payload)
