"""Foreign text in reports and logs: no control characters, no bidi controls, bounded, and otherwise the same."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.base.foreign_text import cleaned, escaped, escaped_json

pytestmark = pytest.mark.unit

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSAFE = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *BIDI, "\u2028", "\u2029", "\ud800", "\udfff"]
anything = st.text(st.characters(codec=None) | st.sampled_from(UNSAFE))


def safe(text: str) -> bool:
    return not any(char in BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)


@given(anything, st.integers(1, 300))
def test_cleaned_text_is_one_short_line_without_controls(text: str, most: int) -> None:
    line = cleaned(text, most)
    assert safe(line) and len(line) <= most
    assert cleaned(line, most) == line
    line.encode()


@pytest.mark.parametrize("char", UNSAFE)
def test_no_unsafe_character_stays(char: str) -> None:
    assert cleaned(f"a{char}b") in ("a b", "a\ufffdb")
    assert safe(escaped(f"a{char}b"))


@pytest.mark.parametrize("text", ["tts failed: no such file", "안녕하세요 (오류)", "é 日本 🙂", "שלום", ""])
def test_other_text_is_not_changed(text: str) -> None:
    assert cleaned(text) == escaped(text) == escaped_json(text) == text


def test_long_text_is_cut_with_a_mark() -> None:
    assert cleaned("a" * 200) == "a" * 200
    assert cleaned("a" * 201) == "a" * 199 + "…"
    assert cleaned(" " * 10_000 + "a").endswith("…")
    assert cleaned("\x1b[31m red\r\n  two") == "\ufffd[31m red two"


def test_escapes_are_those_of_python() -> None:
    assert escaped("\x1b[31m\u202e\n\t\ud800") == "\\x1b[31m\\u202e\\n\\t\\ud800"
    assert escaped("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@given(st.dictionaries(st.text(), anything))
def test_escaped_json_has_the_same_meaning(value: dict[str, str]) -> None:
    text = escaped_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not any(char in BIDI or unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text)
