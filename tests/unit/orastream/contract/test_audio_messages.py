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
from orastream.contract.sentence_start import CHUNK_OVERHEAD_BYTES, FIELDS_BYTES, MAX_STARTS_BYTES, SentenceStart
from orastream.contract.word_time import MAX_WORDS, WORD_BYTES, WordTime

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
PLACED = {"offset": 44}
SENTENCE: dict[str, Any] = {"number": 1, "ms": 250, "text": "둘.", "from": 4, "to": 6}
NOT_FOUND = {name: SENTENCE[name] for name in ("number", "ms", "text")}
BEGINS = {"sentences": [SENTENCE, NOT_FOUND | {"number": 2}]}
WORD = [1, 4, 6, 250, 700]
ENDS = {"words": [WORD, [1, 6, 6, 700, 700]]}


@pytest.mark.parametrize(
    "wire",
    [
        START,
        START | TOLD,
        CHUNK,
        CHUNK | SAID,
        CHUNK | PLACED,
        CHUNK | BEGINS,
        CHUNK | ENDS,
        CHUNK | SAID | PLACED | BEGINS | ENDS,
        WAITING,
        END,
        END | SAID,
        FAILED,
    ],
)
def test_messages_have_exactly_the_wire_names_of_the_contract(wire: dict[str, Any]) -> None:
    packed = msgpack.packb(wire)
    message = unpack(packed)
    assert msgpack.unpackb(message.pack()) == wire
    assert list(msgpack.unpackb(message.pack())) == list(wire)


COUNT = st.integers(0, 2**63)
SMALL = st.integers(0, 2**32 - 1)
STARTS = st.builds(SentenceStart, COUNT, COUNT, st.text(max_size=5)) | st.builds(
    SentenceStart, COUNT, COUNT, st.text(max_size=5), st.integers(0, 99), st.integers(99, 2**31)
)
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
    st.builds(
        AudioChunk,
        COUNT,
        COUNT,
        COUNT,
        COUNT,
        st.binary(max_size=20),
        st.none() | st.text(max_size=5),
        st.none() | COUNT,
        st.lists(STARTS, max_size=3).map(tuple),
    ),
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


def test_unpack_accepts_a_chunk_of_an_older_synth() -> None:
    """Without `offset`, `sentences` and `words`; null counts as absent."""
    chunk = unpack(msgpack.packb(CHUNK))
    assert chunk == AudioChunk(9, 0, 0, 0, b"\x01\x02") == unpack(msgpack.packb(CHUNK | {"offset": None}))
    assert isinstance(chunk, AudioChunk) and (chunk.offset, chunk.sentences, chunk.words) == (None, (), ())
    assert (
        unpack(msgpack.packb(CHUNK | {"sentences": None})) == chunk == unpack(msgpack.packb(CHUNK | {"sentences": []}))
    )
    assert unpack(msgpack.packb(CHUNK | {"sentences": [NOT_FOUND | {"from": None, "to": None}]})) == unpack(
        msgpack.packb(CHUNK | {"sentences": [NOT_FOUND]})
    )


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
    (CHUNK, ["offset"], ["1", 1.5, -1, True, [], {}, b"1"]),
    (
        CHUNK,
        ["sentences"],
        [1, "x", {}, True, b"", [1], [None], [[]], ["x"], [{}], [SENTENCE, NOT_FOUND | {"ms": "1"}]],
    ),
    *((CHUNK, ["sentences"], [[SENTENCE | {name: bad}] for bad in WHOLE]) for name in ("number", "ms")),
    *((CHUNK, ["sentences"], [[SENTENCE | {name: bad}] for bad in WHOLE]) for name in ("from", "to")),
    (CHUNK, ["sentences"], [[SENTENCE | {"text": bad}] for bad in (None, 1, b"x", [], True)]),
    (CHUNK, ["sentences"], [[SENTENCE | {"from": 7}], [{k: v for k, v in SENTENCE.items() if k != "to"}]]),
    (CHUNK, ["sentences"], [[{k: v for k, v in NOT_FOUND.items() if k != name}] for name in NOT_FOUND]),
    (CHUNK, ["words"], [1, "x", {}, True, b"", [1], [None], [[]], ["x"], [WORD[:4]], [[*WORD, 1]], [WORD, WORD[:1]]]),
    *((CHUNK, ["words"], [[WORD[:at] + [bad] + WORD[at + 1 :]] for bad in WHOLE]) for at in range(5)),
    (CHUNK, ["words"], [[[1, 6, 4, 250, 700]], [[1, 4, 6, 700, 250]]]),
    (END, ["text"], [b"text", 5, [1], {}, True]),
    (WAITING, ["attempt"], WHOLE),
    (END, ["attempt", "total_chunks", "total_bytes"], WHOLE),
    (END, ["status"], ["done", "", None, 1, [], {}, b"complete"]),
    (END, ["audio_seconds"], ["1", None, [], float("nan"), float("inf"), 1e306, 2**32 + 1, -1.0, True]),
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


@settings(max_examples=60)
@given(
    st.lists(st.builds(SentenceStart, *[st.integers(0, 2**32 - 1)] * 2, st.text(), *[st.integers(0, 2**32 - 1)] * 2))
)
def test_a_sentence_start_has_no_more_bytes_than_it_is_counted_with(starts: list[SentenceStart]) -> None:
    plain, full = (AudioChunk(9, 0, 0, 0, b"ab", sentences=of).pack() for of in ((), tuple(starts)))
    counted = sum(len(start.text.encode()) + FIELDS_BYTES for start in starts)
    assert len(full) - len(plain) <= counted + len("sentences") + 6


def test_the_overhead_of_a_chunk_has_room_for_all_but_one_long_sentence() -> None:
    """The longest sentence of a streamed text, ids of 256 bytes in the message id and the headers, starts, words."""
    widest = 2**63 - 1
    chunk = AudioChunk(widest, widest, widest, widest, b"ab", "😀" * 900, widest)
    words = MAX_WORDS * WORD_BYTES + 16
    assert len(chunk.pack()) + MAX_STARTS_BYTES + words + 16 + 2 * 343 + 64 + 128 < CHUNK_OVERHEAD_BYTES


@given(st.lists(st.tuples(*[st.integers(0, 2**31 - 1)] * 5), max_size=40))
def test_words_are_the_same_after_the_wire_and_have_no_more_bytes_than_they_are_counted_with(
    numbers: list[tuple[int, int, int, int, int]],
) -> None:
    words = tuple(WordTime(a, b, b + c, d, d + e) for a, b, c, d, e in numbers)
    plain, full = (AudioChunk(9, 0, 0, 0, b"ab", words=of).pack() for of in ((), words))
    assert len(full) - len(plain) <= len(words) * WORD_BYTES + len("words") + 6
    chunk = unpack(full)
    assert isinstance(chunk, AudioChunk) and chunk.words == words


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
