"""Marks of emphasis and code, and the stars and underscores that are not marks."""

import re

import pytest

from services.synth.reading import EditedText, read_with_places
from services.synth.reading.emphasis import unmarked

pytestmark = pytest.mark.unit

MARKS = [
    ("예약 번호는 **482913**입니다.", "예약 번호는 482913입니다."),
    ("**PIN**: 1234", "PIN: 1234"),
    ("__중요__한 _것_입니다", "중요한 것입니다"),
    ("***아주*** *중요*한", "아주 중요한"),
    ("**이것은 *정말* 중요**합니다", "이것은 정말 중요합니다"),
    ('**"중요"**한 것', '"중요"한 것'),
    ('"**중요**"하다 (*강조*)', '"중요"하다 (강조)'),
    ("그는**중요**합니다", "그는중요합니다"),
    ("**주의:** 5**만** 원", "주의: 5만 원"),
    ("총 **3**개, **5,000**원, $**5**", "총 3개, 5,000원, $5"),
    ("-**3**도, **-5도**", "-3도, -5도"),
    ("**wrapped\nline** here", "wrapped\nline here"),
    ("~~10,000원~~ 5,000원", "10,000원 5,000원"),
    ("~~1+1=2~~", "1+1=2"),
    ("==3==개 ++4++개 ||5||개", "3개 4개 5개"),
    ("`code`를 ``두 번``", "code를 두 번"),
    ("`**kwargs`, `**opts`", "kwargs, opts"),
    ("_snake_case_", "snake_case"),
    ("* **사과**: 3개", "사과: 3개"),
    ("* 3개 주문", "3개 주문"),
    ("\\*표 \\#1 1\\. a", "*표 #1 1. a"),
    # half of a mark, because the sentence ended inside of it
    ("**안녕하세요.", "안녕하세요."),
    ("저는 봇**입니다.", "저는 봇입니다."),
    ("**5개를 사세요.", "5개를 사세요."),
    ("정말요?**", "정말요?"),
]

SIGNS = [
    "2**3", "2**3 and 4**5", "5 * 3", "5*3*2", "a*b*c", "a**b + c**d", "3 ** 4 ** 5", "snake_case", "user_이름_값",
    "*를 누르세요", "메뉴는 *를, 다음은 *를 누르세요", "press *", "press *, then press *", "* 키를 누르세요",
    "* key, please", "'*'를 누르고 '*'를", "(*)와 (*)", "별 두 개(**)", "별표(*)", "****-3456", "1234-****-****-5678",
    "***-1234, ***-5678", "***-1234/***-5678", "12**-34**", "010-****-5678", "900101-1******", "ab***@naver.com",
    "ab**@a.com, cd**@a.com", "홍*동과 김*수", "*.py and *.txt", "int *p, *q", "a@b_c.com https://a.com/_x_/",
    "좋아요~~ 정말~~ 최고", "10~~20", "**", "*", "_", "~~", "____", "** **", "`", "a ` b",
    "a == b == c", "==", "i++; ++j", "C++", "a || b || c", "====",
]  # fmt: skip


@pytest.mark.parametrize(("written", "plain"), MARKS, ids=[written for written, _ in MARKS])
def test_marks_are_removed_and_nothing_takes_their_place(written: str, plain: str) -> None:
    assert unmarked(EditedText(written)).text == plain


@pytest.mark.parametrize("written", SIGNS)
def test_a_sign_that_is_not_a_mark_stays_for_the_rules(written: str) -> None:
    assert unmarked(EditedText(written)).text == written


def test_emphasis_does_not_cross_a_paragraph() -> None:
    assert unmarked(EditedText("a *b\n\nc* d")).text == "a *b\n\nc* d"


def test_a_word_with_marks_comes_from_the_letters_that_are_left() -> None:
    written = "예약 **482913**입니다"
    reading = read_with_places(EditedText(written), "ko-KR")
    words = [(word[0], written[slice(*reading.back(*word.span()))]) for word in re.finditer(r"\S+", reading.text)]
    assert words[0] == ("예약", "예약") and words[-1][1] == "482913**입니다"
