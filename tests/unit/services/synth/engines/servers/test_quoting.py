"""Which part of a server's error text may be quoted."""

from __future__ import annotations

import pytest

from services.synth.engines.servers.quoting import SEE_LOG, has_something_to_say, json_object, plain, quotable, quotes

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


@pytest.mark.parametrize(
    "said",
    [
        "no phonemes for '비밀번호'",  # without the ending
        "cannot read 4711",
        r'bad request: {"input": "\uc81c \ube44\ubc00"}',  # JSON inside of JSON
        "unknown: \u1107\u1175\u1106\u1175\u11af",  # decomposed: Hangul as single letters
        "unknown: ｃａｆé",  # full width
    ],
)
def test_parts_and_other_spellings_of_a_word_count(said: str) -> None:
    assert quotes(said, "제 비밀번호는 4711번입니다, café에서")


def test_endings_of_a_language_are_no_words_of_the_sentence() -> None:
    assert not quotes("음성이 없습니다", "비밀번호가 맞습니다")


@pytest.mark.parametrize("before", range(190, 200))
def test_word_or_secret_that_is_cut_at_the_end_of_the_line_is_not_quoted(before: int) -> None:
    padding = "x" * before
    assert quotable(f"{padding} 비밀번호", "제 비밀번호는") == SEE_LOG
    assert quotable(f"{padding} sk-1234567890", "네.", "sk-1234567890") == ""
    assert quotable(f"{padding} nothing", "네.", "sk-1234567890").startswith(padding)


def test_only_a_text_is_shown_and_in_one_safe_line() -> None:
    assert plain("a\n\x1b[31mb") == "a \ufffd[31mb" and plain(5) == plain(None) == plain({"a": 1}) == ""
