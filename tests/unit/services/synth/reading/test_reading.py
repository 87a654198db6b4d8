"""Text normalization: tables of cases, and properties for any text."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.synth.reading import korean, read_out, say_as
from tests.support.linear_time import assert_linear

pytestmark = pytest.mark.unit


def cases(name: str) -> list[tuple[str, str]]:
    """Returns the cases of a table: one `written => spoken` per line; a line that begins with `# ` is a heading."""
    lines = Path(__file__).with_name(name).read_text().splitlines()
    rows = [line.partition(" => ") for line in lines if not line.startswith("# ")]
    return [(written, spoken) for written, arrow, spoken in rows if arrow]


KOREAN = cases("readings_ko.txt")
ENGLISH = cases("readings_en.txt")


def test_tables_have_enough_cases_and_no_duplicates() -> None:
    assert len(KOREAN) >= 100 and len(ENGLISH) >= 50
    assert len(dict(KOREAN)) == len(KOREAN) and len(dict(ENGLISH)) == len(ENGLISH), "a table has the same case twice"


@pytest.mark.parametrize(("written", "spoken"), KOREAN, ids=[written for written, _ in KOREAN])
def test_korean_text_is_read_as_in_the_table(written: str, spoken: str) -> None:
    assert read_out(written, "ko-KR") == spoken


@pytest.mark.parametrize(("written", "spoken"), ENGLISH, ids=[written for written, _ in ENGLISH])
def test_english_text_is_read_as_in_the_table(written: str, spoken: str) -> None:
    assert read_out(written, "en-US") == spoken


@pytest.mark.parametrize(("written", "spoken"), KOREAN + ENGLISH, ids=[written for written, _ in KOREAN + ENGLISH])
def test_reading_the_result_again_does_not_change_it(written: str, spoken: str) -> None:
    language = "ko-KR" if (written, spoken) in KOREAN else "en-US"
    assert read_out(spoken, language) == spoken


@pytest.mark.parametrize(
    ("written", "language", "spoken"),
    [
        ("3명이 왔다.", "en-US", "세 명이 왔다."),
        ("I have 3 apples.", "ko-KR", "I have three apples."),
        ("3.14", "ko", "삼 점 일사"),
        ("AI", "ko_KR", "에이아이"),
        ("今日は3時です。", "ja-JP", "今日は3時です。"),
        ("今日は3時です。", "ko-KR", "今日は3時です。"),
        ("Сейчас 3 часа.", "en-US", "Сейчас 3 часа."),
        ("大韓民國의 3명", "ko-KR", "대한민국의 세 명"),
        ("大韓民國 3", "ko-KR", "大韓民國 3"),
        ("Es ist 3 Uhr.", "de", "Es ist 3 Uhr."),
        ("a\0b", "en", "a b"),
        ("3׳", "ko", "삼׳"),
        ("안녕", "ko", "안녕"),
    ],
)
def test_rules_are_chosen_by_the_script_and_then_by_the_language(written: str, language: str, spoken: str) -> None:
    assert read_out(written, language) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "form", "korean", "english"),
    [
        ("A1-가", "characters", "", "에이 일 하이픈 가", None),
        ("B2-c", "spell-out", "", "비 이 하이픈 씨", "B two dash C"),
        ("120", "cardinal", "", "백이십", "one hundred twenty"),
        ("-3", "cardinal", "", "마이너스 삼", "minus three"),
        ("3", "ordinal", "", "세 번째", "third"),
        ("120", "digits", "", "일이영", "one two zero"),
        ("① ½ 12", "digits", "", "일 이 분의 일 일이", "one one half one two"),
        ("120", "telephone", "", "일이공", "one two zero"),
        ("+82 10-12", "telephone", "", "플러스 팔이 일공 일이", "plus eight two, one zero, one two"),
        ("3/4", "date", "md", "삼월 사 일", "March fourth"),
        ("3-4-2024", "date", "dmy", "이천이십사 년 사월 삼 일", "April third, twenty twenty-four"),
        ("20240503", "date", "yyyymmdd", "이천이십사 년 오월 삼 일", "May third, twenty twenty-four"),
        ("05/2024", "date", "mm/yyyy", "이천이십사 년 오월", "May, twenty twenty-four"),
        ("2024", "date", "y", "이천이십사 년", "twenty twenty-four"),
        ("2024-05-03", "date", "", "이천이십사 년 오월 삼 일", "May third, twenty twenty-four"),
        ("USD 3.50", "currency", "", "삼 달러 오십 센트", "three dollars and fifty cents"),
        ("3000KRW", "currency", "", "삼천 원", "three thousand won"),
        ("9:30", "time", "hms12", "아홉 시 삼십 분", "nine thirty"),
        ("1/2", "fraction", "", "이 분의 일", "one half"),
        ("5kg", "unit", "", "오 킬로그램", "five kilograms"),
        # text that does not fit the kind is read as usual
        ("13/45", "date", "md", "사십오 분의 십삼", "thirteen forty-fifths"),
        ("No 12345", "date", "ymd", None, "No twelve thousand three hundred forty-five"),
        ("many", "cardinal", "", "many", "many"),
        ("3", "no-such-kind", "", "삼", "three"),
        ("0", "ordinal", "", "영", "zeroth"),
        ("--", "telephone", "", None, "--"),
    ],
)
def test_say_as_reads_text_by_its_kind(
    text: str, kind: str, form: str, korean: str | None, english: str | None
) -> None:
    if korean is not None:
        assert say_as(text, kind, "ko-KR", form) == korean
    if english is not None:
        assert say_as(text, kind, "en-US", form) == english


# ---- any text

LANGUAGES = st.sampled_from(["ko-KR", "en-US", "ja-JP", "ko", "", "x"])
PIECES = st.sampled_from(
    (
        "0 1 2 3 7 10 24 100 1,000 3.14 2024 -5 % ~ - / : . , … ! ? 명 개 시 분 월 일 년 만 억 원 층 살 번째 제 여 "
        "kg km/h ℃ GB ㎡ $ ₩ € AI Hello U.S. a @ # & + = * _ ` http:// www. .com naver ㅋㅋ ㅠㅠ ㄱ 👍 ① ½ Ⅳ ( ) "
        "** ~~ – − ㈜ ㎿ １ <b> </think> <|a|> \u200b "
        "을(를) v2 AM pm 가 나는 \n \t"
    ).split(" ")
)
TEXTS = st.one_of(
    st.lists(st.one_of(PIECES, st.just(" ")), max_size=14).map("".join),
    st.sampled_from([written for written, _ in KOREAN + ENGLISH]),
    st.text(max_size=60),
)
MAX_PER_CHARACTER = 24  # "%p" is 퍼센트포인트, "≥" more; a digit of English "seventeen "


@settings(max_examples=400)
@given(TEXTS, LANGUAGES)
def test_reading_accepts_any_text(text: str, language: str) -> None:
    """It never raises, gives the same result each time, never becomes empty, and its length is bounded."""
    reading = read_out(text, language)
    assert reading == read_out(text, language)
    assert any(char.isalnum() for char in reading) or not any(char.isalnum() for char in text)
    assert len(reading) <= MAX_PER_CHARACTER * len(text) + MAX_PER_CHARACTER


@settings(max_examples=300)
@given(TEXTS)
def test_reading_leaves_no_digit(text: str) -> None:
    """Digits and signs, which engines often misread, are gone after reading, for texts in Hangul and Latin."""
    assume(all(not char.isalpha() or char < "\u0250" or "ㄱ" <= char <= "ㅣ" or "가" <= char <= "힣" for char in text))
    for language in ("ko-KR", "en-US"):
        reading = read_out(text, language)
        assert not any(char in "0123456789" for char in reading), reading


@settings(max_examples=200)
@given(st.lists(st.one_of(PIECES, st.just(" ")), max_size=10).map("".join), st.sampled_from(["ko-KR", "en-US"]))
def test_repeated_reading_reaches_a_fixed_point(text: str, language: str) -> None:
    """Repeated reading reaches a fixed point: no rule makes text that another one changes back."""
    reading = text
    for _ in range(4):
        reading = read_out(reading, language)
    assert read_out(reading, language) == reading


HOSTILE = [
    "1", "9,999", "1,", "1.", "1.1", "1-", "1/", "1:", "1만", "3~", "-", "--1", "=", "a=", " ", " =", "a.", "a.a", "a-",
    "a@", "a@a.", "A&", "http://", "http://a.", "a.com/", "ㅋ", "ㅠ", "ㅠㅠ ", "ㄱㅅ", "#", "# ", "*", "A.", "A ",
    "aA ", "제1", "제", "1 명", "1명", "$1", "$", "(주)", "가(이)", "1월", "+1-", "010-", "~", "👍", "1️⃣", "²", "m²",
    "‘", "v1.", "1x", "IV", "\u0301", "가\u0301", "２", "1년 ",
    "1 a", "a1", "[", "[a](", "[a](b", "<", "<a ", "<!--", "|-", "|--|", "- [", "&", "\n-", "&amp;", "3,4",
    "5.1.~", "$a", "$ a", "\\(", "\\frac{", "a^", "2^", "3 > ", "3>", "가 >= ", "<=", "a<", "1:", "2.5:", "2-3",
    "**", "**a", "**a ", "*a ", " *a", "a* ", "_a ", "__a", " _", "`", "`a", "~~", "~~a", " ~~a", "\\*", "***a", "**.",
    "<a b=", "<x a=1 ", "</", "</a", "<|", "<|a", "[/", "&#", "&a", "<a:b", "<!DOCTYPE ", "1–", "1–1", "12–34–", "(02)",
    "02 123–", "1588–", "–1", "2024–", "\u200b", "\u200ba", "１–", "½", "1½", "1 ½", "①", "Ⅳ", "①가", "ⓒ", "㈜", "㎏",
    "¹/", "𝟏", "a\u00a0", "＊＊a", "0 ",
]  # fmt: skip


def test_work_in_quadratic_time_is_found() -> None:
    def work(text: str) -> None:
        for _ in range(2 * len(text) ** 2):
            pass

    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(work, "a")


@pytest.mark.parametrize("unit", HOSTILE, ids=[ascii(unit) for unit in HOSTILE])
def test_reading_takes_linear_time_for_hostile_text(unit: str) -> None:
    """A rule that backtracks would take quadratic time, or minutes."""
    for tail, language in (("가", "ko-KR"), ("a", "en-US")):
        assert_linear(partial(read_out, language=language), unit, tail)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                "제을를은는이가과와의도로한두세일삼육십백천만억조월년시분초원개명번층전후약총각매점도씨대장쪽 .,!?…\n"
            ),
            st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
        ),
        max_size=30,
    ).map("".join)
)
def test_no_rule_changes_a_sentence_of_hangul_words_alone(sentence: str) -> None:
    """Such a sentence is read without them: they take as long as all other work of synth on it."""
    assert korean.read(sentence) == korean.by_rules(sentence)
