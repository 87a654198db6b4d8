"""Each spoken word has a place in the request's text: plain, Markdown, streamed, and SSML."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.synth.text.placed_sentences import PlacedSentences
from services.synth.text.script import ScriptLine, line_of, lines_of
from services.synth.text.sentence_aligner import aligned
from services.synth.text.sentence_splitter import MAX_CHARS
from services.synth.text.text_rules import TextRules

pytestmark = pytest.mark.unit

PARTS = """
    안녕하세요 네, 다. 나는 3명이 2025년 3월 1일, 14:30에 $3.50. 16GB ㎏ ℃ AI **굵은** *x* # - [링크](http://a.b) `a`
    <b> </b> <br> &amp; & 😊 ① ½ ㅋㅋ http://a.com/b?c (주) 3>2 | --- → Hello there! Go. Dr. ( ) 1/2 5~6개 を 각 é
""".split()
SPACES = st.sampled_from([" ", " ", " ", "  ", "\n", "\t", "\u3000", "\0", ""])
TEXTS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([*PARTS, *(unicodedata.normalize("NFD", part) for part in PARTS)]), st.text(max_size=4)
        ),
        SPACES,
    ),
    max_size=14,
).map(lambda parts: "".join(map("".join, parts)))
LANGUAGES = st.sampled_from(["ko-KR", "en-US", "ja-JP"])


def words(line: ScriptLine) -> list[tuple[str, tuple[int, int]]]:
    """Each spoken word of the line with its place."""
    found = [(word[0], line.place(*word.span())) for word in re.finditer(r"\S+", line.spoken)]
    assert all(place is not None for _, place in found), "a word has no place"
    return [(word, place) for word, place in found if place is not None]


def check(lines: Iterable[ScriptLine], text: str) -> None:
    """Check that the places of the words are in the sentences and in the order of the words."""
    last = (0, 0)
    for line in lines:
        assert line.source is not None
        for word, place in words(line):
            assert line.source[0] <= place[0] <= place[1] <= line.source[1], word
            assert last[0] <= place[0] and last[1] <= place[1], word
            last = place


def parts(text: str, language: str = "ko-KR", *, ssml: bool = False, reads: bool = True) -> list[tuple[str, str]]:
    """Each spoken word with its part of the text."""
    lines = lines_of(text, language, 1.0, ssml=ssml, rules=TextRules(reads=reads))
    return [(word, text[slice(*place)]) for line in lines for word, place in words(line)]


@settings(max_examples=150)
@given(TEXTS, LANGUAGES, st.booleans())
def test_words_of_any_text_have_places_in_their_sentence_and_in_order(text: str, language: str, reads: bool) -> None:
    lines = lines_of(text, language, 1.0, rules=TextRules(reads=reads))
    check(lines, text)
    for line in lines:
        assert line.source is not None and line.place(0, len(line.spoken)) is not None
        for word, (first, end) in words(line):
            assert not text[first].isspace() and not text[end - 1].isspace()
            if word.isalpha() and not reads:
                assert text[first:end] == word


@settings(max_examples=60)
@given(TEXTS, LANGUAGES, st.integers(1, 30))
@example("<b> ", "ko-KR", 1)
def test_words_of_a_streamed_text_have_the_same_places(text: str, language: str, size: int) -> None:
    """Each line is made of what has come, as in `streamed_text`."""
    sentences, lines = PlacedSentences(language), list[ScriptLine]()
    for end in range(size, len(text) + 2 * size, size):
        have = text[:end]
        found = sentences.push(text[end - size : end], have) if end - size < len(text) else sentences.finish(have)
        lines += [line_of(sentence, language, 1.0, source=source, text=have) for sentence, source in found]
    complete = lines_of(text, language, 1.0)
    assert lines == complete
    assert [words(line) for line in lines] == [words(line) for line in complete]


MARKUP = st.sampled_from(
    [
        "{}",
        "<b>{}</b>",
        "<!-- x -->{}",
        "<![CDATA[x &amp; 3]]>{}",
        "<p>{}</p>",
        "<break/>{}",
        "<sub alias='세계 3개'>{}</sub>",
        "<sub alias='3'>{}</sub>명",
        "<say-as interpret-as='digits'>{}</say-as>",
        "<say-as interpret-as='cardinal'>12</say-as>명 {}",
        "<lang xml:lang='en-US'>{}</lang>",
        "<sub alias='둘'/>{}",
    ]
)


@settings(max_examples=100)
@given(st.lists(st.tuples(TEXTS, MARKUP), max_size=5), st.booleans())
def test_words_of_any_ssml_have_places_in_their_sentence_and_in_order(
    found: list[tuple[str, str]], reads: bool
) -> None:
    inner = "".join(
        markup.format(html.escape("".join(char for char in text if char.isprintable() or char in "\n\t")))
        for text, markup in found
    )
    document = f"<speak>{inner} 끝</speak>"
    lines = lines_of(document, "ko-KR", 1.0, ssml=True, rules=TextRules(reads=reads))
    check(lines, document)


KOREAN = ["오늘", "하늘이", "나무는", "그리고", "바람도", "좋아서"]
ENGLISH = ["today", "sky", "trees", "river", "wind", "good"]
# Each is read by one rule.
KOREAN_TOKENS = """
    3.14 24 50% AI ① ½ http://a.com 2025년 3월 14:30 16GB 3명 a@b.kr $3.50 ㅋㅋㅋ 5~6개 010-1234-5678 R&D 제3회
""".split()
ENGLISH_TOKENS = """
    3.14 24 50% $3.50 http://a.com 14:30 16GB 1/2 2024-05-03 a@b.io 21st 555-123-4567 v2.1.0 -5 10-20
""".split()


@settings(max_examples=150)
@given(st.data(), st.booleans(), st.sampled_from(["plain", "<b>", "**", "ssml", "<sub>"]))
def test_each_word_of_the_one_replaced_token_comes_from_it(data: st.DataObject, korean: bool, how: str) -> None:
    usual, tokens = (KOREAN, KOREAN_TOKENS) if korean else (ENGLISH, ENGLISH_TOKENS)
    before = data.draw(st.lists(st.sampled_from(usual), max_size=4))
    behind = data.draw(st.lists(st.sampled_from(usual), max_size=4))
    token = data.draw(st.sampled_from(tokens))
    space = data.draw(st.sampled_from([" ", "  ", "\n", " 😊 "] if how in ("plain", "ssml") else [" "]))
    marked = {"<b>": f"<b>{token}</b>", "**": f"**{token}**", "<sub>": f"<sub alias='{html.escape(token)}'>x</sub>"}
    ssml = how in ("ssml", "<sub>")
    text = space.join([*before, html.escape(token) if how == "ssml" else marked.get(how, token), *behind])
    text = f"<speak>{text}</speak>" if ssml else text
    found = parts(text, "ko-KR" if korean else "en-US", ssml=ssml)
    inner = {"<sub>": "x", "ssml": html.escape(token)}.get(how, token)
    said = found[len(before) : len(found) - len(behind)]
    assert found[: len(before)] == [(word, word) for word in before]
    assert said and [part for _, part in said] == [inner] * len(said) and said[0][0] != token
    assert found[len(found) - len(behind) :] == [(word, word) for word in behind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("하나. 3명이 왔다.", [("하나.", "하나."), ("세", "3명"), ("명이", "3명이"), ("왔다.", "왔다.")]),
        ("  2025년\n 3월", [("이천이십오", "2025년"), ("년", "2025년"), ("삼월", "3월")]),
        ("**굵은** 글", [("굵은", "굵은"), ("글", "글")]),
        ("[링크](http://a.b)", [("링크", "링크")]),
        ("5시 - 7시", [("다섯", "5시"), ("시에서", "5시 -"), ("일곱", "7시"), ("시", "7시")]),
        ("😊 3개", [("세", "3개"), ("개", "3개")]),
        (unicodedata.normalize("NFD", "한글 3개"), [("한글", unicodedata.normalize("NFD", "한글"))]),
        ("가" + "!" * (MAX_CHARS + 40) + " 3개 끝", [("개", "3개"), ("끝", "끝")]),
    ],
)
def test_words_of_plain_text(text: str, expected: list[tuple[str, str]]) -> None:
    found = parts(text)
    assert found[: len(expected)] == expected or found[-len(expected) :] == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("가 &amp; 3&#44032;", [("가", "가"), ("앤드", "&amp;"), ("삼가", "3&#44032;")]),
        ("<![CDATA[3명 <b>]]>", [("세", "3명"), ("명", "3명"), ("비", "b")]),
        ("한\n  3<!-- x -->명", [("한", "한"), ("세", "3<!-- x -->명"), ("명", "3<!-- x -->명")]),
        ("그 <sub alias='세계 기구'>WHO</sub>의 3명", [("그", "그"), ("세계", "WHO"), ("기구의", "WHO</sub>의")]),
        ("<sub alias='3'>three</sub>명이", [("세", "three</sub>명"), ("명이", "three</sub>명이")]),
        ("<sub alias='둘 셋'/> 넷", [("둘", ""), ("셋", ""), ("넷", "넷")]),
        ("<say-as interpret-as='digits'>31</say-as>번", [("삼일번", "31</say-as>번")]),
        ("<say-as interpret-as='cardinal'>3</say-as>명이", [("삼", "3"), ("명이", "명이")]),
        ("<say-as interpret-as='characters'>A<b>B</b></say-as> 끝", [("에이", "A<b>B"), ("비", "A<b>B"), ("끝", "끝")]),
    ],
)
def test_words_of_ssml(inner: str, expected: list[tuple[str, str]]) -> None:
    assert parts(f"<speak>{inner}</speak>", ssml=True)[: len(expected)] == expected


def test_a_reading_has_the_place_of_its_element_when_no_stand_in_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.synth.text.ssml_script._STANDINS", [])
    found = parts("<speak>하나 <sub alias='이 삼'>둘</sub> 셋</speak>", ssml=True)
    assert found == [("하나", "하나"), ("이", "둘"), ("삼", "둘"), ("셋", "셋")]


def test_a_range_without_a_word_has_no_place() -> None:
    (line,) = lines_of("하나 3개", "ko", 1.0)
    assert line.spoken == "하나 세 개"
    assert line.place(2, 3) is None, "white space"
    assert [line.place(*outside) for outside in ((3, 3), (4, 3), (-1, 2), (0, 7))] == [None] * 4
    assert line.place(2, 4) == (3, 5) and line.place(0, 6) == (0, 5)


def test_a_line_without_a_source_has_no_places_and_places_do_not_make_lines_differ() -> None:
    (line,) = lines_of("하나", "ko", 1.0)
    assert line == line_of("하나", "ko", 1.0) and hash(line) == hash(line_of("하나", "ko", 1.0))
    assert line_of("하나", "ko", 1.0).place(0, 2) is None


def test_the_place_of_white_space_is_that_of_the_character_before_it() -> None:
    assert aligned("가 나.", "x 가\n\n나!.", 1) == [2, 2, 5, 7]
    assert aligned("가 다", "가 나") == []
