"""Characters that become those that the rules know, and those that must stay."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.reading import EditedText, read_out, say_as
from services.synth.reading.plain_characters import plain

pytestmark = pytest.mark.unit

CHANGED = [
    ("010\u20111234\u20125678 10－20﹣3 a―b", "010-1234-5678 10-20-3 a—b"),
    ("1\u2009000 12\u00a0345\u00a0678 3\u202f000", "1,000 12,345,678 3,000"),
    # invisible characters and spaces
    ("안\u200b녕\ufeff a\u00adb\u2060c\u202e", "안녕 abc"),
    ("♥\ufe0f 1\ufe0f\u20e3 #\ufe0f\u20e3 *\u20e3", "♥ 1\u20e3 # *"),
    ("a\u00a0b\u2009c\u202fd\u3000e\u3164f", "a b c d e f"),
    ("a\u0007b\u2028c", "ab\nc"),
    # digits and letters
    ("１２３ ＡｂＣ ，．：％＄", "123 AbC ,.:%$"),
    ("٣٫١٤ १२ ๑๒ 𝟏𝟐", "3.14 12 12 12"),
    ("𝗕𝗼𝗹𝗱 ﬁn", "Bold fin"),
    ("5㎏ 9㏂ 3㎿ 2㎨ 1㎧", "5kg 9a.m. 3MW 2m/s² 1m/s"),
    ("3∶1 3∙1절 1⁄2 ¹⁄₂ 2¹⁄₂", "3:1 3·1절 1/2 1/2 2 1/2"),
    ("1∼2 3〜4 5～6", "1~2 3~4 5~6"),
]

UNCHANGED = [
    "9–5", "010–1234–5678", "5−3", "a — b", "- 5", "1 000", "ㅡㅡ", "ㅋㅋㅋ", "ㄱ", "m²", "10²³", "H₂O", "½", "①", "Ⅳ",
    "℃", "℡", "가각", "‘a’ “b”", "ª", "é", "👍",
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), CHANGED, ids=[ascii(written) for written, _ in CHANGED])
def test_characters_become_plain(written: str, expected: str) -> None:
    assert plain(EditedText(written)).text == expected


@pytest.mark.parametrize("written", UNCHANGED)
def test_other_characters_stay(written: str) -> None:
    assert plain(EditedText(written)).text == written


def test_every_decimal_digit_of_unicode_is_read_as_a_digit() -> None:
    digits = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Nd"]
    assert len(digits) >= 650
    for digit in digits:
        assert plain(EditedText(f"a{digit}")).text == f"a{unicodedata.decimal(digit)}"


@given(st.text("0–—−ㅡー-12().9 a년%\u200b１㎏⁄¹₂,", max_size=24))
def test_plain_text_is_not_changed_again(text: str) -> None:
    once = plain(EditedText(text)).text
    assert plain(EditedText(once)).text == once


def test_plain_characters_are_used_for_korean_and_english_alone() -> None:
    assert read_out("３\u200b명", "ko-KR") == "세 명"
    assert read_out("٣ cats", "en-US") == "three cats"
    assert read_out("१२", "en-US") == "twelve"
    assert read_out("१२", "hi-IN") == "१२"
    assert read_out("３時です", "ja-JP") == "３時です"
    assert say_as("１２", "digits", "ko-KR") == "일이"
