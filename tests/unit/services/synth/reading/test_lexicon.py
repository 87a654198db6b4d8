"""Words with a reading of their own: which one counts, particles, stand-ins, places, and time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.synth.reading import EditedText
from services.synth.reading.lexicon import MAX_READINGS_CHARS, NO_WORDS, Lexicon, Pronunciation, put_back
from services.synth.reading.word_places import WordPlaces
from tests.support.linear_time import assert_linear

pytestmark = pytest.mark.unit


def lexicon(**sections: Mapping[str, str]) -> Lexicon:
    """A lexicon of plain entries; `every` is the section of every language."""
    named = {"*" if tag == "every" else tag.replace("_", "-"): words for tag, words in sections.items()}
    return Lexicon({tag: {word: Pronunciation(said) for word, said in words.items()} for tag, words in named.items()})


def read(words: Lexicon, text: str, language: str = "ko-KR", *, rules: bool = True) -> str:
    """What is said for a text."""
    return put_back(*words.read(EditedText(text), language, rules=rules)).text


KOREAN = lexicon(
    ko={
        "SQL": "시퀄", "SQL Server": "시퀄 서버", "카카오T": "카카오 티", "㈜": "주식회사",
        "C++": "씨플플", ".NET": "닷넷", "24시": "이십사시", "Redis": "레디스", "오라": "우라", "Lite": "라이트",
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SQL은 3개", "시퀄은 세 개"),
        ("sql과 Sql", "시퀄과 시퀄"),
        ("SQL Server는", "시퀄 서버는"),
        ("SQL\n Server는", "시퀄 서버는"),
        ("SQL Serverless", "시퀄 Serverless"),
        ("Lite은 좋고 Lite을(를) 쓴다", "라이트는 좋고 라이트를 쓴다"),
        (".NET로 C++으로", "닷넷으로 씨플플로"),
        ("LG㈜오라", "엘지 주식회사 우라"),
        ("삼성㈜가", "삼성 주식회사가"),
        ("C++20", "씨플플 이십"),
        ("1,024시와 24시", "천이십사 시와 이십사시"),
        ("오라는 오라클", "우라는 오라클"),
        ("SQL/Redis", "시퀄, 레디스"),
        ("**SQL**, [SQL](http://a.kr/SQL)은 http://SQL.kr", "시퀄, 시퀄은 에스큐엘 점 케이알"),
    ],
)
def test_korean_sentences(text: str, said: str) -> None:
    assert read(KOREAN, text) == said


def test_without_the_rules_only_the_words_change() -> None:
    assert read(KOREAN, "SQL은 3개", rules=False) == "시퀄은 3개"


def test_a_reading_is_final() -> None:
    words = lexicon(ko={"A": "B", "B": "C 3 & SQL", "명품": "명", "SQL": "시퀄"})
    assert read(words, "A B") == "B C 3 & SQL"
    assert read(words, "3 명품") == "삼 명", "the number has not taken the reading for its counter"


def test_request_counts_before_the_language_of_the_sentence_of_the_request_and_every_language() -> None:
    words = lexicon(
        every={"A1": "every", "B1": "every", "C1": "every", "D1": "every"}, en={"B1": "en", "C1": "en"}, ko={"C1": "ko"}
    )
    of_request = words.with_request({"D1": Pronunciation("request")})
    assert read(of_request, "A1 B1 C1 D1 가", "en-US", rules=False) == "every en ko request 가"
    assert read(of_request, "A1 B1 C1 D1", "en-US", rules=False) == "every en en request"
    assert read(words, "D1", "ja", rules=False) == "every"
    region = lexicon(en={"A1": "en"}, en_GB={"A1": "gb"})
    assert [read(region, "A1", tag, rules=False) for tag in ("en", "en-GB", "en_gb", "en-US", "de")] == [
        "en", "gb", "gb", "en", "A1",
    ]  # fmt: skip


def test_english_sentence_of_a_korean_request_takes_korean_words_if_there_are_no_english_ones() -> None:
    assert read(lexicon(ko={"SQL": "시퀄"}), "We really like SQL.") == "We really like 시퀄."
    assert read(lexicon(ko={"SQL": "시퀄"}, en={"SQL": "sequel"}), "We really like SQL.") == "We really like sequel."


def test_longest_word_counts_before_the_request() -> None:
    words = lexicon(ko={"SQL Server": "시퀄 서버"}).with_request({"SQL": Pronunciation("에스")})
    assert read(words, "SQL Server와 SQL은") == "시퀄 서버와 에스는"


def test_a_particle_after_a_word_is_no_word_itself() -> None:
    words = lexicon(ko={"A1": "sequel", "B1": "가", "은": "틀림", "을(를)": "틀림"})
    assert read(words, "A1은 B1은 A1을(를) B1을(를) 은", rules=False) == "sequel은 가는 sequel을(를) 가를 틀림"


def test_letters_of_contractions_are_no_words() -> None:
    words = lexicon(en={"S": "ess", "T": "tee", "re": "ray", "SQL": "sequel", "AI": "A I"})
    for text in ("It's SQL's.", "They don't, they’re", "DON'T"):
        assert read(words, text, "en", rules=False) == text.replace("SQL", "sequel")
    assert read(words, "'S' l'AI 'T", "en", rules=False) == "'ess' l'A I 'tee"


def test_exact_spelling() -> None:
    words = Lexicon(
        {
            "ko": {
                "SQLite": Pronunciation("라이트", exact=True),
                "US": Pronunciation("미국"),
                "us": Pronunciation("어스"),
            }
        }
    )
    assert read(words, "SQLite sqlite US us Us", rules=False) == "라이트 sqlite 미국 어스 미국"


def test_words_and_texts_are_compared_in_nfc() -> None:
    words = lexicon(ko={unicodedata.normalize("NFD", "카카오"): "카카오톡", "café": "카페"})
    assert read(words, unicodedata.normalize("NFD", "카카오는 café")) == "카카오톡은 카페"


def test_digest_changes_with_the_words_only() -> None:
    assert NO_WORDS.digest == lexicon(ko={}).digest == ""
    first = lexicon(ko={"a": "b", "c": "d"}, en={"a": "b"})
    assert first.digest == lexicon(en={"a": "b"}, ko={"c": "d", "a": "b"}).digest and re.fullmatch(
        "[0-9a-f]{8}", first.digest
    )
    others = [
        lexicon(ko={"a": "b", "c": "e"}, en={"a": "b"}),
        lexicon(ko={"a": "b", "c": "d"}),
        lexicon(ko={"a": "b", "c": "d"}, ja={"a": "b"}),
    ]
    exact = Lexicon(
        {"ko": {"a": Pronunciation("b", exact=True), "c": Pronunciation("d")}, "en": {"a": Pronunciation("b")}}
    )
    assert len({words.digest for words in [first, exact, *others]}) == 5
    assert first.with_request({"x": Pronunciation("y")}).digest == first.digest and first.words == 3


def test_noncharacters_of_a_text_do_not_reach_the_engine() -> None:
    text = "가 \ufdd0\ufdd0a\ufdd1\ufdd1 \ufdef나"
    for words in (NO_WORDS, KOREAN):
        assert read(words, text, rules=False) == "가   a    나"
    marked = lexicon(ko={"SQL": "\ufdd0\ufdd0a\ufdd1\ufdd1"})
    assert read(marked, "SQL은 3개 \ufdd0") == "\ufdd0\ufdd0a\ufdd1\ufdd1은 세 개"


def test_more_readings_than_stand_ins() -> None:
    words = lexicon(ko={f"w{number}": f"말{number}" for number in range(400)})
    assert read(words, " ".join(f"w{number}" for number in range(400)), rules=False).split()[-1] == "말399"


def test_readings_of_a_sentence_are_bounded() -> None:
    words = lexicon(ko={"A1": "가" * 190, "B1": "나"})
    text = read(words, "A1 " * 100 + "B1", rules=False)
    assert text.count("가" * 190) == MAX_READINGS_CHARS // 190 and text.endswith("A1 나")


def test_text_that_has_the_stand_ins_itself() -> None:
    vai = "".join(chr(code) for code in range(0xA500, 0xA60C))
    assert read(KOREAN, f"{vai} SQL은", rules=False) == f"{vai} 시퀄은"


PIECES = st.sampled_from(
    [
        *"aAbB1.-/@ ",
        "ab",
        "ab c",
        "가",
        "나",
        "가나",
        "은",
        "에서",
        "을(를)",
        "24",
        "+",
        "㈜",
        "é",
        "e\u0301",
        "\n",
        "://",
        "重",
        "\0",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
WORDS = st.dictionaries(
    TEXTS.map(lambda text: unicodedata.normalize("NFC", " ".join(text.replace("\0", "").split()))).filter(bool),
    st.builds(Pronunciation, st.sampled_from(["말", "글자", "X", "Y Z", "\ufdd0\ufdd0a\ufdd1\ufdd1"]), st.booleans()),
    max_size=8,
)


def expected(text: str, tables: list[dict[str, Pronunciation]]) -> list[tuple[int, int, str]]:
    """The words of a text without white space to be joined, and what is said for them, by comparing all with all."""
    places, found, place = WordPlaces(text), list[tuple[int, int, str]](), 0
    while place < len(text):
        best: tuple[int, str] | None = None
        for table in tables:
            for same in (lambda a, b: a == b, lambda a, b: a.lower() == b.lower()):
                for word, (said, exact) in table.items():
                    part = text[place : place + len(word)]
                    if not same(part, word) or (exact and part != word) or (best and len(word) <= best[0]):
                        continue
                    if places.begins(place) and places.is_whole(place, place + len(word)):
                        best = len(word), said
        if best is None:
            place += 1
        else:
            found.append((place, place + best[0], best[1]))
            place += best[0]
            place += len(places.particle(place))
    return found


@settings(max_examples=400)
@example("a가", {"a": Pronunciation("말"), "가": Pronunciation("글자")}, {}, {})
@given(TEXTS, WORDS, WORDS, WORDS)
def test_same_words_as_by_comparing_all_with_all(
    text: str, request: dict[str, Pronunciation], korean: dict[str, Pronunciation], every: dict[str, Pronunciation]
) -> None:
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    words = Lexicon({"ko": korean, "*": every}).with_request(request)
    held = words.hold(EditedText(text), "ko")
    places = [held.text.back(at, at + 1) for at, char in enumerate(held.text.text) if char in held.readings]
    said = [held.readings[char].strip() for char in held.text.text if char in held.readings]
    assert [(*place, words) for place, words in zip(places, said, strict=True)] == expected(
        text, [request, korean, every]
    )


@settings(max_examples=300)
@given(st.one_of(TEXTS, st.text(max_size=30)), WORDS, st.sampled_from(["ko-KR", "en-US", "ja"]), st.booleans())
def test_any_text_has_its_readings_once_with_places_in_order(
    text: str, of_node: dict[str, Pronunciation], language: str, rules: bool
) -> None:
    held = Lexicon({"*": of_node}).read(EditedText(text), language, rules=rules)
    spoken = put_back(*held)
    stand_ins = [char for char in held.text.text if char in held.readings]
    assert not set(text) & set(held.readings)
    for char in stand_ins:
        assert held.readings[char] in spoken.text
    assert spoken.original == text
    last = (0, 0)
    for word in re.finditer(r"\S+", spoken.text):
        place = spoken.back(*word.span())
        assert last[0] <= place[0] and last[1] <= place[1] <= len(text)
        last = place


@given(st.one_of(TEXTS, st.text(max_size=30)))
def test_without_words_a_text_stays(text: str) -> None:
    sentence = EditedText(text)
    if not re.search("[\ufdd0-\ufdef]", text):
        assert NO_WORDS.hold(sentence, "ko").text is sentence


@pytest.mark.parametrize("part", ["a", "a ", "a-", "a.", "가", "가 ", "단어1 ", "은", "+", "(", "://a", "a@", "을(를)"])
def test_time_is_linear_in_the_text(part: str) -> None:
    """With 10 000 words, and with words of all lengths that begin like the text."""
    words = lexicon(
        ko={f"단어{number}": "말" for number in range(9_000)},
        every={(part * 100)[:length].strip() or "x": "x" for length in range(1, 101)},
    )
    assert_linear(lambda text: words.hold(EditedText(text), "ko"), part, short_chars=1_000)
