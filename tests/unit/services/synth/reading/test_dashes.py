"""Dashes at numbers: hyphens in telephones, dates and codes; ranges, scores and minus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.reading import EditedText
from services.synth.reading.dashes import plain

pytestmark = pytest.mark.unit

BOTH = [
    ("010–1234–5678", "010-1234-5678"),
    ("02−123−4567", "02-123-4567"),
    ("010—1234-5678", "010-1234-5678"),
    ("010ㅡ1234ㅡ5678", "010-1234-5678"),
    ("010·1234·5678", "010-1234-5678"),
    ("+82–10–1234–5678", "+82-10-1234-5678"),
    ("(800) 555–0199", "(800) 555-0199"),
    ("02) 123−4567", "02) 123-4567"),
    ("02 123–4567", "02 123-4567"),
    ("1588–1234", "1588-1234"),
    ("2024–05–03", "2024-05-03"),
    ("2024−05", "2024-05"),
    ("2024-05-01–2024-05-03", "2024-05-01~2024-05-03"),
    ("9시—6시", "9시–6시"),
    ("5pm—7pm", "5pm–7pm"),
    ("오전 9시—오후 6시", "오전 9시–오후 6시"),
    ("월–금", "월-금"),
    ("–5°C", "-5°C"),
    ("from –5 to –2", "from -5 to -2"),
]

# text, in Korean, in English
EACH = [
    ("12:00—13:00", "12:00~13:00", "12:00–13:00"),
    ("9–18시", "9~18시", "9–18시"),
    ("10—20명", "10~20명", "10–20명"),
    ("10−20%", "10~20%", "10–20%"),
    ("10ㅡ20명", "10-20명", "10-20명"),
    ("1500–1900", "1500~1900", "1500–1900"),
    ("2005–06", "2005-06", "2005–06"),
    ("3–1로 이겼다", "3-1로 이겼다", "3–1로 이겼다"),
    ("스코어 1–3", "스코어 1-3", "스코어 1–3"),
    ("12–30번지", "12-30번지", "12–30번지"),
    ("1,000–2,000원", "1,000~2,000원", "1,000–2,000원"),
    ("12/1–12/5", "12/1~12/5", "12/1–12/5"),
    ("3번–5번", "3번~5번", "3번–5번"),
    ("5kg–10kg", "5kg~10kg", "5kg–10kg"),
    ("10만-20만 원", "10만~20만 원", "10만-20만 원"),
    ("2024.5.1.–5.3.", "2024.5.1.~5.3.", "2024.5.1.~5.3."),
    ("5−3=2", "5−3=2", "5 minus 3=2"),
    ("5 − 3", "5 − 3", "5 minus 3"),
]

UNCHANGED = [
    "−5", "a – b", "a — b", "Four—five", "10 – 20", "ㅡㅡ", "A–Z", "그 일–하지 않은", "1–", "–", "- 5", "5-3",
    "010-1234-5678", "3·1절", "5−3은", "서울–3시",
]  # fmt: skip


@pytest.mark.parametrize("code", ["ko", "en"])
@pytest.mark.parametrize(("written", "expected"), BOTH)
def test_telephones_dates_codes_and_minus(written: str, expected: str, code: str) -> None:
    assert plain(EditedText(written), code).text == expected


@pytest.mark.parametrize(("written", "korean", "english"), EACH)
def test_ranges_and_scores_of_a_language(written: str, korean: str, english: str) -> None:
    assert plain(EditedText(written), "ko").text == korean
    assert plain(EditedText(written), "en").text == english


@pytest.mark.parametrize("written", UNCHANGED)
def test_other_dashes_stay(written: str) -> None:
    assert plain(EditedText(written), "ko").text == written


@given(st.text("0–—−ㅡー-12().9 a년월%,·~:", max_size=24), st.sampled_from(["ko", "en"]))
def test_any_text_keeps_all_other_characters(text: str, code: str) -> None:
    same = plain(EditedText(text), code).text
    dashes = str.maketrans(dict.fromkeys("–—−ㅡー-·~", "-"))
    assert same.replace(" minus ", "-").translate(dashes).replace(" ", "") == text.translate(dashes).replace(" ", "")
