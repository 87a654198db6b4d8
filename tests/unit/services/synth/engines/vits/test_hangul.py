"""All 11 172 syllables against uroman's three tables (uroman 1.3 gives the same result for each)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.vits.hangul import romanised

pytestmark = pytest.mark.unit

LEADS = "g gg n d dd r m b bb s ss - j jj c k t p h".replace("-", "").split(" ")
VOWELS = "a ae ya yae eo e yeo ye o wa wai oe yo u weo we wi yu eu yi i".split(" ")
TAILS = "- g gg gs n nj nh d l lg lm lb ls lt lp lh m b bs s ss ng j c k t p h".replace("-", "").split(" ")
SYLLABLES = [lead + vowel + tail for lead in LEADS for vowel in VOWELS for tail in TAILS]


def test_romanised_returns_the_result_of_uroman_for_every_syllable() -> None:
    assert len(SYLLABLES) == 11_172
    assert [romanised(chr(0xAC00 + number)) for number in range(11_172)] == SYLLABLES


@given(st.lists(st.integers(0, 11_171), max_size=20))
def test_romanised_text_is_the_same_composed_or_decomposed(numbers: list[int]) -> None:
    text = "".join(chr(0xAC00 + number) for number in numbers)
    assert romanised(text) == "".join(SYLLABLES[number] for number in numbers)
    assert romanised(unicodedata.normalize("NFD", text)) == romanised(text)


@pytest.mark.parametrize(
    ("korean", "latin"),
    [
        ("안녕하세요, 무엇을 도와드릴까요?", "annyeonghaseyo, mueoseul dowadeurilggayo?"),
        ("왜 돼지는", "wai dwaijineun"),
        ("한국의 “꽃”…", "hangugyi “ggoc”…"),
        ("NATS는 3월", "NATSneun 3weol"),
        ("ㅋㅋ ㅠㅠ", "ㅋㅋ ㅠㅠ"),
        ("", ""),
    ],
)
def test_romanised_keeps_characters_around_syllables(korean: str, latin: str) -> None:
    assert romanised(korean) == latin
