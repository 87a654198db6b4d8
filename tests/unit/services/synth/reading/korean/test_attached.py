"""Particles after a word, and the form that follows a reading."""

from __future__ import annotations

import pytest

from services.synth.reading.korean.attached import either_form, form_after, form_of_either, is_particle

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "syllables",
    "은 는 이 가 을 를 의 에 에서 에서는 으로 으로는 로도 까지도 부터 께서는 에게만 입니다 이었습니다 이에요".split(),
)
def test_particles_and_their_sequences(syllables: str) -> None:
    assert is_particle(syllables)


@pytest.mark.parametrize("syllables", ["", "클", "기반", "서버", "은행", "가격", "이름표", "도시", "은" * 13])
def test_other_words_are_no_particles(syllables: str) -> None:
    assert not is_particle(syllables)


@pytest.mark.parametrize(
    ("reading", "written", "spoken"),
    [
        ("시퀄", "은", "은"),
        ("시퀄", "는", "은"),
        ("라이트", "은", "는"),
        ("라이트", "이", "가"),
        ("라이트", "을", "를"),
        ("라이트", "과", "와"),
        ("라이트", "으로", "로"),
        ("시퀄", "으로", "로"),
        ("닷넷", "로", "으로"),
        ("닷넷", "로는", "으로는"),
        ("라이트", "으로서", "로서"),
        ("라이트", "이에요", "예요"),
        ("닷넷", "예요", "이에요"),
        ("닷넷", "와", "과"),
        ("라이트", "이다", "이다"),
        ("닷넷", "로그", "로그"),
        ("닷넷", "에서", "에서"),
        ("sequel", "은", "은"),
        ("에이3", "은", "은"),
    ],
)
def test_form_follows_the_reading(reading: str, written: str, spoken: str) -> None:
    assert form_after(reading, written) == spoken


def test_template_with_both_forms_becomes_one_of_them() -> None:
    assert either_form("SQL을(를) 쓴다", 3) == "을(를)"
    assert either_form("SQL을 쓴다", 3) == ""
    found = [form_of_either("시퀄", both) for both in ("을(를)", "는(은)", "이(가)", "와(과)", "(으)로")]
    assert found == ["을", "은", "이", "과", "로"]
    assert form_of_either("라이트", "을(를)") == "를" and form_of_either("닷넷", "(으)로") == "으로"
    assert form_of_either("sequel", "을(를)") == "을(를)"
