"""Where the parts of an edited text come from: compared with a slow model, and for readings of any text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.reading import Edit, EditedText, read_out, read_with_places

pytestmark = pytest.mark.unit

Model = list[tuple[str, frozenset[int]]]
"""Each character with the places of all characters of the first text that it comes from."""
SMALL = st.text("ab가 ", max_size=4)


def after(model: Model, edits: list[Edit]) -> Model:
    """The model after one pass of edits."""
    result, position = Model(), 0
    for first, end, new in edits:
        sources = frozenset[int]().union(*(places for _, places in model[first:end]))
        result += model[position:first] + [(char, sources) for char in new]
        position = end
    return result + model[position:]


def one_pass(data: st.DataObject, chars: int) -> list[Edit]:
    cuts = data.draw(st.lists(st.integers(0, chars), max_size=8, unique=True).map(sorted))
    return [
        (first, end, data.draw(SMALL)) for first, end in zip(cuts, cuts[1:], strict=False) if data.draw(st.booleans())
    ]


@settings(max_examples=300)
@given(st.text("abc가나 ", max_size=12), st.integers(0, 4), st.data())
def test_back_through_any_passes_is_the_smallest_range(text: str, passes: int, data: st.DataObject) -> None:
    edited, model = EditedText(text), Model((char, frozenset({place})) for place, char in enumerate(text))
    for _ in range(passes):
        edits = one_pass(data, len(edited.text))
        edited, model = edited.edited(edits), after(model, edits)
    assert edited.text == "".join(char for char, _ in model) and edited.original == text
    for first in range(len(model)):
        for end in range(first + 1, len(model) + 1):
            sources = frozenset[int]().union(*(places for _, places in model[first:end]))
            assert edited.back(first, end) == (min(sources), max(sources) + 1)


@pytest.mark.parametrize(
    ("pattern", "new"), [("[ab]+", "x"), ("a", ""), ("(?<=a)b|c", "a"), (" +", " "), ("b(?=c)|가", "\\1")]
)
@given(text=st.text("abc가 ", max_size=20))
def test_sub_does_what_re_sub_does(pattern: str, new: str, text: str) -> None:
    edited = EditedText(text)
    assert edited.sub(re.compile(pattern), new).text == re.sub(pattern, lambda _: new, text)
    said = edited.sub(re.compile(pattern), lambda match: match[0].upper())
    assert said.text == re.sub(pattern, lambda match: match[0].upper(), text)


def test_a_match_that_is_replaced_by_itself_is_not_one_piece() -> None:
    edited = EditedText("abc def")
    assert edited.sub(re.compile("[a-z]+"), lambda match: match[0]) is edited


@given(st.text(" \n\ta가", max_size=8))
def test_stripped_and_respelled_keep_the_places(text: str) -> None:
    stripped = EditedText(text).respelled(text.replace("a", "b")).stripped()
    assert stripped.text == text.strip().replace("a", "b")
    for place, char in enumerate(stripped.text):
        first, end = stripped.back(place, place + 1)
        assert end == first + 1 and text[first].replace("a", "b") == char


MARKS = (
    "e가각각ᆨ\u0301\u0323\u0344"
    "\u09c7\u09be\u09d7\u0b47\u0b56\u1025\u102e\U00011131\U00011127\u212b\u0397\u0f81\u0345①😊 "
)


@settings(max_examples=400)
@given(
    st.one_of(st.text(MARKS, max_size=12), st.text(max_size=20).map(lambda text: unicodedata.normalize("NFD", text)))
)
def test_composed_is_nfc_and_each_character_comes_from_what_it_is_composed_of(text: str) -> None:
    composed = EditedText(text).composed()
    assert composed.text == unicodedata.normalize("NFC", text)
    end = 0
    for place in range(len(composed.text)):
        first, last = composed.back(place, place + 1)
        assert first >= end or composed.back(place - 1, place) == (first, last), (
            "two characters share a part of a piece"
        )
        part = unicodedata.normalize("NFC", text[first:last])
        assert composed.text[place] in part
        end = last


def test_a_letter_is_composed_across_a_sign_that_is_combining_only_when_decomposed() -> None:
    composed = EditedText("x\u0397\u0f81\u0345").composed()
    assert composed.text == unicodedata.normalize("NFC", "x\u0397\u0f81\u0345") and composed.back(1, 2) == (1, 4)


def test_each_decomposed_syllable_comes_from_its_letters() -> None:
    text = unicodedata.normalize("NFD", "한글e\u0301 3")
    composed = EditedText(text).composed()
    assert [composed.back(place, place + 1) for place in range(5)] == [(0, 3), (3, 6), (6, 8), (8, 9), (9, 10)]


# ---- readings

PARTS = st.sampled_from(
    "0 3 24 1,000 3.14 2024 -5 % ~ - / : . , ! 명 개 시 월 년 만 원 번째 kg ㎏ ℃ m² $ AI Hello U.S. & + = * _ ` "
    "** ~~ – − 2½ ㈜ ㎿ \u200b </a> "
    "http://a.com ㅋㅋ ㄱ 👍 ① ( ) [ ](http://a.b) <b> </b> <br> &amp; | --- <!-- --> > $x^2$ ２ ᄀ ᅡ ᆨ \u0301 을(를) 가 "
    "나는 \n \t \0".split(" ")
)
ANY = st.one_of(st.lists(st.one_of(PARTS, st.just(" ")), max_size=14).map("".join), st.text(max_size=40))


@settings(max_examples=300)
@given(ANY, st.sampled_from(["ko-KR", "en-US", "ja"]), st.booleans())
def test_places_of_any_reading_are_in_the_sentence_and_in_order(text: str, language: str, tags: bool) -> None:
    reading = read_with_places(EditedText(text), language, tags=tags)
    assert reading.text == read_out(text, language, tags=tags) and reading.original == text
    last = (0, 0)
    for place in range(len(reading.text)):
        first, end = reading.back(place, place + 1)
        assert 0 <= first < end <= len(text)
        assert last[0] <= first and last[1] <= end, "a later character comes from an earlier one"
        last = first, end


def words_of(text: str, language: str) -> list[tuple[str, str]]:
    """Each spoken word with the part of the text that it comes from."""
    reading = read_with_places(EditedText(text), language)
    return [(word[0], text[slice(*reading.back(*word.span()))]) for word in re.finditer(r"\S+", reading.text)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("3명이 왔다.", "ko-KR", [("세", "3명"), ("명이", "3명이"), ("왔다.", "왔다.")]),
        (
            "2025년 3월 1일",
            "ko-KR",
            [("이천이십오", "2025년"), ("년", "2025년"), ("삼월", "3월"), ("일", "1일"), ("일", "1일")],
        ),
        ("$3.50", "en-US", [(word, "$3.50") for word in ("three", "dollars", "and", "fifty", "cents")]),
        ("**굵은** 글", "ko-KR", [("굵은", "굵은"), ("글", "글")]),
        ("[링크](http://a.b) 참고", "ko-KR", [("링크", "링크"), ("참고", "참고")]),
        ("[링크](http://a.b)는", "ko-KR", [("링크는", "링크](http://a.b)는")]),
        ("- [x] 3개", "ko-KR", [("세", "3개"), ("개", "3개")]),
        ("<b>3</b>명", "ko-KR", [("세", "3</b>명"), ("명", "3</b>명")]),
        ("😊 3개", "ko-KR", [("세", "3개"), ("개", "3개")]),
        ("a &amp; b", "en-US", [("a", "a"), ("and", "&amp;"), ("b", "b")]),
        ("ＡＩ ５개", "ko-KR", [("에이아이", "ＡＩ"), ("다섯", "５개"), ("개", "５개")]),
        ("무게 5㎏", "ko-KR", [("무게", "무게"), ("오", "5㎏"), ("킬로그램", "5㎏")]),
        ("값은 3 > 2", "ko-KR", [("값은", "값은"), ("삼은", "3 > 2"), ("이보다", "3 > 2"), ("크다", "3 > 2")]),
        ("今日は3時です。", "ja", [("今日は3時です。", "今日は3時です。")]),
    ],
)
def test_each_word_comes_from_its_part_of_the_text(text: str, language: str, expected: list[tuple[str, str]]) -> None:
    assert words_of(text, language) == expected
