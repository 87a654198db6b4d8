"""Which part of a server's error text may be quoted."""

from __future__ import annotations

import pytest

from services.synth.engines.servers.quoting import has_something_to_say, json_object, plain, quotes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("text", "has"), [("네", True), ("1", True), ("…!?", False), ("🙂 —", False), ("", False)])
def test_has_something_to_say_is_true_for_letters_and_digits(text: str, has: bool) -> None:
    assert has_something_to_say(text) is has


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[1]", b"[" * 60_000, b'{"a":' * 30_000, b"\xff\xfe"])
def test_anything_but_an_object_is_an_empty_one(answer: bytes) -> None:
    assert json_object(answer) == {}


def test_a_message_that_has_a_word_of_the_sentence_quotes_it() -> None:
    assert quotes("Bad token: SECRET", "my secret number") and quotes("4711?", "번호는 4711입니다 4711")
    assert not quotes("model not loaded", "내 비밀번호")


def test_only_a_text_is_shown_and_in_one_safe_line() -> None:
    assert plain("a\n\x1b[31mb") == "a \ufffd[31mb" and plain(5) == plain(None) == plain({"a": 1}) == ""
