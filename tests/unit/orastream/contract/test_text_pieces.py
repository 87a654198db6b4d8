"""The text of stored pieces, for any order, repeats and invalid payloads."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import EndError
from orastream.contract.errors import InvalidRequest
from orastream.contract.surrogates import whole_characters
from orastream.contract.text_pieces import MAX_PIECES, STALLED, TextPiece, TextPieces

pytestmark = pytest.mark.unit

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PIECES = st.lists(TEXT, min_size=1, max_size=12)


def text_pieces(beginning: str = "", max_chars: int = 1000, max_open_s: float = 300.0) -> TextPieces:
    return TextPieces(beginning, max_chars=max_chars, max_open_s=max_open_s)


def cut(texts: list[str]) -> list[TextPiece]:
    return [TextPiece(index, text, index == len(texts) - 1) for index, text in enumerate(texts)]


def receive(of: TextPieces, *pieces: TextPiece | bytes, at_s: float = 0.0) -> list[str]:
    return [of.receive(piece if isinstance(piece, bytes) else piece.encode(), at_s) for piece in pieces]


@given(PIECES, st.data(), st.sampled_from(["json", "msgpack"]))
def test_text_is_the_same_for_any_order_and_any_repeats_of_pieces(
    texts: list[str], data: st.DataObject, encoding: Any
) -> None:
    pieces = cut(["a", *texts])
    order = data.draw(st.permutations(pieces))
    repeats = data.draw(st.lists(st.tuples(st.integers(0, len(order)), st.sampled_from(pieces)), max_size=10))
    stored = list(order)
    for position, piece in repeats:  # a repeat after the original has another text, which must not count
        before = piece in stored[:position]
        stored.insert(position, TextPiece(piece.index, "lie", piece.end) if before else piece)
    of = text_pieces("so ")
    passed = [of.receive(piece.encode(encoding), 0.0) for piece in stored]
    assert of.text == "so a" + "".join(texts) == "so " + "".join(passed)
    assert of.ended and of.problem is None


@given(st.lists(st.tuples(st.integers(0, 5), TEXT, st.booleans()), max_size=30), st.integers(0, 30))
def test_later_pieces_do_not_change_the_text_passed_so_far(stored: list[tuple[int, str, bool]], upto: int) -> None:
    """A reader that has read fewer messages has a beginning of the text; once it has read all, it has the same."""
    messages = [TextPiece(*piece).encode() for piece in stored]
    whole, less = text_pieces(), text_pieces()
    for number, message in enumerate(messages):
        whole.receive(message, 0.0)
        if number < upto:
            less.receive(message, 0.0)
    assert whole.text.startswith(less.text)
    assert not less.ended or (whole.text, whole.problem) == (less.text, less.problem)
    for message in messages[upto:]:
        less.receive(message, 0.0)
    assert (whole.text, whole.ended, whole.problem) == (less.text, less.ended, less.problem)


@given(st.lists(st.tuples(st.integers(0, 7), TEXT), max_size=20), st.lists(st.tuples(st.integers(0, 7), TEXT)))
def test_stalled_message_ends_the_text_at_its_place_in_the_stream(
    before: list[tuple[int, str]], after: list[tuple[int, str]]
) -> None:
    of = text_pieces()
    receive(of, *(TextPiece(*piece) for piece in before))
    text = of.text
    assert receive(of, STALLED, *(TextPiece(*piece, end=True) for piece in after)) == [""] * (1 + len(after))
    assert of.ended and of.text == text
    assert of.problem is not None and of.problem.code == "text_stalled"


def test_stall_names_the_missing_piece() -> None:
    of = text_pieces()
    receive(of, TextPiece(0, "a"), TextPiece(2, "c"), STALLED)
    assert of.problem is not None and "piece 1 is missing" in of.problem.message
    whole = text_pieces()
    receive(whole, TextPiece(0, "a"), STALLED)
    assert whole.problem is not None and "missing" not in whole.problem.message


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"hello",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"text":"a"}',
        b'{"index":null,"text":"a"}',
        b'{"index":true,"text":"a"}',
        b'{"index":0.0,"text":"a"}',
        b'{"index":"0","text":"a"}',
        b'{"index":-1,"text":"a"}',
        b'{"index":65536,"text":"a"}',
        b'{"index":0}',
        b'{"index":0,"end":false}',
        b'{"index":0,"text":7}',
        b'{"index":0,"text":null}',
        b'{"index":0,"text":"a","end":1}',
        msgpack.packb({"index": 0, "text": b"a"}),
        msgpack.packb({b"index": 0, "text": "a"}),
    ],
)
def test_undecodable_piece_ends_the_text(payload: bytes) -> None:
    of = text_pieces()
    receive(of, TextPiece(0, "Hello. "), payload, TextPiece(1, "you", True))
    assert of.ended and of.text == "Hello. "
    assert of.problem is not None and of.problem.code == "invalid_request"
    assert of.problem.message.startswith("text: a piece ") and "Hello" not in of.problem.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "text", "end", "x"]), inner),
    max_leaves=8,
)


@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_decode_raises_only_invalid_request_for_any_payload(payload: bytes) -> None:
    try:
        piece = TextPiece.decode(payload)
    except InvalidRequest as exc:
        assert exc.field == "text"
    else:
        assert piece is None or TextPiece.decode(piece.encode()) == piece


def test_length_of_the_text_is_limited() -> None:
    of = text_pieces("ab", max_chars=5)
    assert receive(of, TextPiece(0, "cd"), TextPiece(1, "ef"), TextPiece(2, "g")) == ["cd", "", ""]
    assert of.ended and of.text == "abcd" and of.problem is not None
    assert of.problem.code == "invalid_request" and "5 characters" in of.problem.message
    held = text_pieces(max_chars=5)
    receive(held, TextPiece(9, "abc"), TextPiece(8, "abc"))
    assert held.ended, "held pieces do not count"
    twice = text_pieces(max_chars=5)
    receive(twice, TextPiece(1, "abc"), TextPiece(1, "abc"), TextPiece(0, "ab", False), TextPiece(2, "", True))
    assert twice.text == "ababc" and twice.problem is None, "a repeated piece was counted"


def test_time_from_first_to_last_piece_is_limited() -> None:
    of = text_pieces(max_open_s=300)
    receive(of, TextPiece(0, "a"), at_s=1000.0)
    assert receive(of, TextPiece(1, "b"), at_s=1300.0) == ["b"]
    assert receive(of, TextPiece(2, "c"), at_s=1300.1) == [""]
    assert of.problem is not None and of.problem.code == "text_stalled" and of.text == "ab"


@pytest.mark.parametrize("texts", [[""], ["…", "!"], [" ", "\n"], ["🙂"]])
def test_text_with_nothing_to_speak_has_no_problem(texts: list[str]) -> None:
    of = text_pieces()
    receive(of, *cut(texts))
    assert of.ended and of.problem is None and of.text == "".join(texts)


@given(st.text(st.sampled_from("a가😀\ud83d\ude00"), max_size=12), st.lists(st.integers(0, 12), max_size=6))
def test_halves_of_surrogate_pairs_are_joined_for_any_cut(text: str, cuts: list[int]) -> None:
    """As Python's own UTF-16 decoder joins them in the whole text. JSON escapes carry the halves."""
    bounds = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [text[first:end] for first, end in zip(bounds, bounds[1:], strict=False)] or [""]
    of = text_pieces("so ")
    passed = [
        of.receive(json.dumps({"index": index, "text": part, "end": index == len(parts) - 1}).encode(), 0.0)
        for index, part in enumerate(parts)
    ]
    assert of.ended and of.problem is None
    assert "".join(passed) == whole_characters(text) and of.text == "so " + whole_characters(text)


def test_half_of_a_character_before_an_early_end_is_replaced() -> None:
    half = b'{"index":0,"text":"Hi \\ud83d"}'
    for last in (STALLED, b"\xff", b'{"index":1,"text":"' + b"a" * 2000 + b'"}'):
        of = text_pieces()
        assert receive(of, half, last) == ["Hi ", "\ufffd"]
        assert of.text == "Hi \ufffd" and of.problem is not None


def test_utf8_that_is_cut_in_a_character_ends_the_text() -> None:
    of = text_pieces()
    receive(of, TextPiece(0, "Hi "), '{"index":1,"text":"😀"}'.encode().replace("😀".encode(), "😀".encode()[:2]))
    assert of.ended and of.text == "Hi " and of.problem is not None
    assert of.problem.message == "text: a piece is not UTF-8 at byte 19"


def test_pieces_after_the_first_end_are_ignored() -> None:
    of = text_pieces()
    receive(of, TextPiece(2, "c", True), TextPiece(5, "f", True), TextPiece(1, "b", True), TextPiece(0, "a"))
    assert of.text == "abc" and of.ended and of.problem is None
    late = text_pieces()
    receive(late, TextPiece(0, "a"), TextPiece(1, "b"), TextPiece(0, "a", True))
    assert not late.ended, "an end whose index is stored already was not taken as a repeat"


def test_piece_has_the_wire_form_of_the_contract() -> None:
    assert TextPiece(0, "안").encode() == '{"index":0,"text":"안"}'.encode()
    assert TextPiece(1, end=True).encode() == b'{"index":1,"end":true}'
    assert TextPiece(1, "").encode() == b'{"index":1,"text":""}'
    assert TextPiece.decode(b'{"index":3,"text":"a","end":null,"more":1}') == TextPiece(3, "a")
    assert TextPiece.decode(STALLED) is None
    assert TextPiece.decode(TextPiece(MAX_PIECES - 1, "a", True).encode("msgpack")) == TextPiece(65_535, "a", True)


def test_stalled_text_names_another_cause_than_the_writer() -> None:
    pieces = TextPieces("안녕", max_chars=100, max_open_s=60)
    assert pieces.stall("the node has no room") == ""
    assert pieces.ended and pieces.text == "안녕"
    assert pieces.problem == EndError("text_stalled", "text: the node has no room")
