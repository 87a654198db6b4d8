"""Characters that stand for a number, a letter or a word."""

import pytest

from services.synth.reading import EditedText, read_with_places
from services.synth.reading.word_characters import in_words

pytestmark = pytest.mark.unit

KOREAN = [
    ("① 첫째", "일 첫째"),
    ("①번과 ②를", "일번과 이를"),
    ("④사과", "사 사과"),
    ("제①항", "제일 항"),
    ("①~③", "일에서 삼"),
    ("① 3개", "일 3개"),
    ("①3개", "일 3개"),
    ("㉑ ㊱ ❶ ⑴ ⒈ ㈠ ⓪", "이십일 삼십육 일 일 일 일 영"),
    ("제Ⅱ장 Ⅳ급 ⅩⅣ장", "제이장 사급 십사장"),
    ("ⓐ 항목 ⒝ 항목", "A 항목 B 항목"),
    ("ⓒ2024 ⓒ한국", " 2024  한국"),
    ("㉠ ㉮ ㈎사과", "ㄱ 가 가 사과"),
    ("㈜한국 삼성㈜는 ㈔한국", "주식회사 한국 삼성 주식회사는 사단법인 한국"),
    ("℡ 02", "전화 02"),
    ("½컵", "이 분의 일 컵"),
    ("½까지", "이 분의 일까지"),
    ("½kg ¼분기", "1/2kg 1/4분기"),
    ("2¼컵 3 ½컵", "2와 1/4컵 3과 1/2컵"),
    ("ㅋㅋ ㄱ m²", "ㅋㅋ ㄱ m²"),
]

ENGLISH = [
    ("① First", "one First"),
    ("①–③", "one to three"),
    ("①First ②Second", "one First two Second"),
    ("Chapter Ⅳ, Part ⅲ", "Chapter four, Part three"),
    ("ⓑ Item", "B Item"),
    ("½ cup and 2¼ tsp", "1/2 cup and 2 1/4 tsp"),
    ("⅞ inch", "7/8 inch"),
    ("℡ 555", "telephone 555"),
    ("㈜ABC", " ABC"),
]


@pytest.mark.parametrize(("written", "expected"), KOREAN)
def test_korean_words(written: str, expected: str) -> None:
    assert in_words(EditedText(written), "ko").text == expected


@pytest.mark.parametrize(("written", "expected"), ENGLISH)
def test_english_words(written: str, expected: str) -> None:
    assert in_words(EditedText(written), "en").text == expected


def test_each_word_comes_from_its_character() -> None:
    reading = read_with_places(EditedText("㈜한국 ③ 2¼컵"), "ko-KR")
    first = reading.text.index("삼")
    assert reading.back(0, 4) == (0, 1) and reading.back(first, first + 1) == (4, 5)
