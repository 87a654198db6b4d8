"""The Korean rules as a whole: hostile text, places of words, and rules that decline."""

from functools import partial

import pytest

from services.synth.reading import EditedText, read_out, read_with_places
from tests.support.linear_time import assert_linear

pytestmark = pytest.mark.unit

HOSTILE = [
    "번호 1", "번호1 ", "계좌 1-", "1a", "a1-", "*1", "**1-", "1*", "1**", "****-", "1 1", "번호 1 1", "12가 ",
    "12가1234 ", "+82 ", "+82-", "119 ", "1588 ", "1588 1234", "*를 ", "#을 ", "*(", "별표(*)", "10/2=",
    "혈압 120/80 ", "1e-5", "2**", "3 ≠ ", "a != ", "2024.10 ~ ", "'24.", "20240503", "4/5~", "5.3(금)", "1h ",
    "1h1m1s", "01:23:45 ", "12번길", "101-1203호", "B1층", "3F ", "₩5,000원", "5kg킬로그램", "25-23, ", "경기 1-0",
    "4-4-", "9초58", "1째", "1번: ", "은 1번, ", "2분이 ", "大", "大韓", "大(", "大(가", "가(大)", "金", "不",
    "YouTube ", "Apple a", "Galaxy S24", "iphone", "Wi-", "5,000KRW", "카드(1*", "4자리 ", "번호 4자리 ", "1!=",
    "010-****-", "./", "../", "/a", "/ab/", ".a1", " .5", "a.pdf", "비밀번호는 a!", "비밀번호는 !", "비밀번호는 a",
    "a - ", "x² - ", "5명/", "5명/일", "1만 1만", "(415) ", "+1 (415)", "1-800-", "0x1", "00:1A:", "'23~'", "버스 5번",
    "B-", "$1=",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=[ascii(unit) for unit in HOSTILE])
def test_reading_takes_linear_time_for_hostile_text(unit: str) -> None:
    """A rule that backtracks would take quadratic time, or minutes."""
    for tail in ("가", "이겼다", "입니다."):
        assert_linear(partial(read_out, language="ko-KR"), unit, tail)


@pytest.mark.parametrize(
    ("written", "spoken", "place"),
    [
        ("카드 끝자리 3456번이 맞으세요?", "삼사오육", "3456"),
        ("大韓民國 국민", "대한민국", "大韓民國"),
        ("다시 들으시려면 *를 누르세요", "별표를", "*를"),
        ("50%퍼센트 할인", "퍼센트", "50%퍼센트"),
        ("혈압은 120/80mmHg입니다", "백이십에", "120/80mmHg"),
        ("YouTube에서 보세요", "유튜브", "YouTube"),
        ("12가 3456 차량", "삼사오육", "12가 3456"),
        ("학습률 1e-5로", "십의 마이너스 오", "1e-5로"),
        ("전화 +821012345678로", "일이삼사", "+821012345678"),
    ],
)
def test_words_map_back_to_what_was_written(written: str, spoken: str, place: str) -> None:
    said = read_with_places(EditedText(written), "ko-KR")
    at = said.text.index(spoken)
    first, end = said.back(at, at + len(spoken))
    assert written[first:end] == place


@pytest.mark.parametrize(
    "label", ["카드", "계좌", "비밀번호", "인증번호", "주문번호", "예약", "생년월일", "끝자리", "송장"]
)
@pytest.mark.parametrize(
    "counted", ["3장", "2개", "3명", "4자리", "500원", "20일", "3시간", "1200명", "50000원", "3번째"]
)
def test_a_label_does_not_swallow_a_quantity(label: str, counted: str) -> None:
    """The quantity is read as it is without the label."""
    alone = read_out(f"그것은 {counted}", "ko-KR").removeprefix("그것은 ")
    assert read_out(f"{label} {counted}", "ko-KR") == f"{label} {alone}"
