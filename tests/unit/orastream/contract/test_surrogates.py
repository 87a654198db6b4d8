"""Texts that were cut into halves of surrogate pairs become whole characters, for any cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.surrogates import REPLACEMENT, SurrogateJoiner, whole_characters

pytestmark = pytest.mark.unit

HALVES = st.text(st.sampled_from("aé가😀\ufffd\ud83d\udbff\ude00\udc00"), max_size=20)


def expected(text: str) -> str:
    """The rule, character by character, without a codec."""
    made, at = "", 0
    while at < len(text):
        char, following = text[at], text[at + 1 : at + 2]
        if "\ud800" <= char <= "\udbff" and "\udc00" <= following <= "\udfff" and following:
            made += chr(0x10000 + ((ord(char) - 0xD800) << 10) + (ord(following) - 0xDC00))
            at += 2
            continue
        made += REPLACEMENT if "\ud800" <= char <= "\udfff" else char
        at += 1
    return made


@given(HALVES)
def test_halves_are_joined_and_others_are_replaced(text: str) -> None:
    assert whole_characters(text) == expected(text)
    whole_characters(text).encode()


@given(st.text())
def test_a_valid_text_is_unchanged(text: str) -> None:
    assert whole_characters(text) == text


@given(st.lists(HALVES, max_size=8))
def test_pieces_give_the_same_text_as_the_whole(pieces: list[str]) -> None:
    joiner = SurrogateJoiner()
    passed = [joiner.push(piece) for piece in pieces]
    for text in passed:
        text.encode()
    assert "".join(passed) + joiner.finish() == whole_characters("".join(pieces))


def test_only_a_high_half_at_the_end_of_a_piece_waits() -> None:
    joiner = SurrogateJoiner()
    assert joiner.push("a\ude00") == "a\ufffd" and not joiner.waits
    assert joiner.push("b\ud83d") == "b" and joiner.waits
    assert joiner.push("") == "" and joiner.waits, "an empty piece does not end the wait"
    assert joiner.push("\ude00c") == "😀c" and not joiner.waits
    assert joiner.push("\ud83d") == "" and joiner.push("\ud83d") == "\ufffd"
    assert joiner.finish() == "\ufffd" and joiner.finish() == ""
