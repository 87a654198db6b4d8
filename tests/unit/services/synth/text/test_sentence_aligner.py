"""Each sentence is found in its text: ranges cover their text, are in order and do not overlap; also in SSML."""

from __future__ import annotations

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.text.script import lines_of
from services.synth.text.sentence_aligner import SentenceAligner
from services.synth.text.sentence_splitter import MAX_CHARS, Sentences, sentences

pytestmark = pytest.mark.unit

WORDS = [
    "안녕하세요",
    "네",
    "다",
    "Go",
    "a",
    "3.14",
    "Dr.",
    "😊",
    "“",
    "”",
    "(",
    ")",
    "'",
    ".",
    "!",
    "?",
    "…",
    ",",
    "&",
]
SPACES = [" ", "  ", "\n", "\t", "\u3000", "\u2028", ""]
RUNS = ["!" * (MAX_CHARS + 40), "- " * MAX_CHARS, "가" * (MAX_CHARS + 9)]
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS * 3 + RUNS), st.sampled_from(SPACES)), max_size=40).map(
    lambda parts: "".join(word + space for word, space in parts)
)


def without_space(text: str) -> str:
    return "".join(text.split())


def longest_run(text: str) -> int:
    """The length of the longest run of characters that are not spoken."""
    return max(len(run) for run in "".join("x" if c.isalnum() else " " for c in text).split("x"))


def check(text: str, found: list[tuple[str, tuple[int, int] | None]]) -> None:
    """Check the ranges of the sentences of a text."""
    end = 0
    for sentence, place in found:
        assert place is not None, "a sentence was not found"
        part = text[place[0] : place[1]]
        assert not any(char.isalnum() for char in text[end : place[0]]), "something that is spoken is in no sentence"
        assert end <= place[0] < place[1] and (part[0], part[-1]) == (sentence[0], sentence[-1])
        if part != sentence:  # marks were left out, of a run that may have begun in the sentence before
            assert longest_run(text) > MAX_CHARS
            assert [c for c in part if c.isalnum()] == [c for c in sentence if c.isalnum()]
        end = place[1]
    assert not any(char.isalnum() for char in text[end:])


@settings(max_examples=200)
@given(TEXTS)
def test_every_sentence_of_a_plain_text_is_found(text: str) -> None:
    check(text, [(line.text, line.source) for line in lines_of(text, "ko-KR", 1.0)])


@settings(max_examples=100)
@given(TEXTS, st.integers(1, 30))
def test_a_sentence_of_a_streamed_text_is_found_in_what_has_come(text: str, size: int) -> None:
    splitter, aligner, found = Sentences("ko-KR"), SentenceAligner(), []
    for end in range(size, len(text) + size, size):
        found += [(sentence, aligner.place(sentence, text[:end])) for sentence in splitter.push(text[end - size : end])]
    found += [(sentence, aligner.place(sentence, text)) for sentence in splitter.finish()]
    check(text, found)
    assert [place for _, place in found] == [line.source for line in lines_of(text, "ko-KR", 1.0)]


def test_marks_may_be_left_out_behind_the_end_of_a_sentence() -> None:
    text = "안녕하세요" + "!" * (MAX_CHARS + 40) + " a ',"
    check(text, [(line.text, line.source) for line in lines_of(text, "ko-KR", 1.0)])


def test_a_sentence_is_exactly_its_part_of_the_text() -> None:
    text = "  안녕하세요, 😊 반갑습니다.\n\nHello there!  다음 문장입니다.안녕하세요, 😊 반갑습니다. "
    lines = lines_of(text, "ko-KR", 1.0)
    assert len(lines) == 4 and [text[slice(*line.source or ())] for line in lines] == sentences(text, "ko-KR")


def test_white_space_in_a_sentence_may_differ_from_that_in_the_text() -> None:
    aligner, text = SentenceAligner(), "하나\n  둘.  하나 둘."
    assert [aligner.place("하나 둘.", text) for _ in range(3)] == [(0, 7), (9, 14), None]


def test_a_sentence_that_is_not_in_the_text_has_no_place_and_does_not_hide_the_next_one() -> None:
    aligner = SentenceAligner()
    assert [aligner.place(sentence, "가. 나.") for sentence in ("다.", "가.", "가!", "나.")] == [
        None,
        (0, 2),
        None,
        (3, 5),
    ]


# ---- SSML


def spoken_parts(markup: str) -> list[tuple[str, str]]:
    """Each line's text and its part of the document."""
    document = f"<?xml version='1.0'?><!-- 가 --><speak xml:lang='ko'>{markup}</speak>"
    return [(line.text, document[slice(*line.source or ())]) for line in lines_of(document, "ko", 1.0, ssml=True)]


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (" 하나.\n 둘. ", [("하나.", "하나."), ("둘.", "둘.")]),
        ("하나\n\t둘.", [("하나 둘.", "하나\n\t둘.")]),
        ("하나\r\n둘 셋.\r\n넷.", [("하나 둘 셋.", "하나\r\n둘 셋."), ("넷.", "넷.")]),
        ("가 &amp; 나. &#44032;&#xAC00;다.", [("가 & 나.", "가 &amp; 나."), ("가가다.", "&#44032;&#xAC00;다.")]),
        ("&#44032;", [("가", "&#44032;")]),
        ("<![CDATA[가 &amp; <b>]]>나.", [("가 &amp; <b>나.", "가 &amp; <b>]]>나.")]),
        ("😊 하나<!-- 주석 -->둘.", [("😊 하나둘.", "😊 하나<!-- 주석 -->둘.")]),
        ("<emphasis>하나</emphasis> 둘.", [("하나 둘.", "하나</emphasis> 둘.")]),
        ("하나 <emphasis>둘.</emphasis> 셋.", [("하나 둘.", "하나 <emphasis>둘."), ("셋.", "셋.")]),
        ("<p><s>하나.</s><s>둘.</s></p>", [("하나.", "하나."), ("둘.", "둘.")]),
        ("하나<break/>둘", [("하나", "하나"), ("둘", "둘")]),
        ("<desc>설명</desc>하나.<metadata>x</metadata>", [("하나.", "하나.")]),
        ("하나 <desc>설명</desc> 둘.", [("하나 둘.", "하나 <desc>설명</desc> 둘.")]),
        ("<sub alias='세계보건기구'>WHO</sub>입니다.", [("WHO입니다.", "WHO</sub>입니다.")]),
        ("그 <sub alias='둘'>a&amp;b <b>c</b></sub>", [("그 a&b c", "그 <sub alias='둘'>a&amp;b <b>c")]),
        ("하나. <sub alias='둘'/>", [("하나.", "하나."), ("", "")]),
        ("<sub alias='둘'/> 셋.", [(" 셋.", " 셋.")]),
        ("<say-as interpret-as='digits'>12</say-as>", [("12", "12")]),
        (
            "안녕 <prosody rate='slow'>하나. 둘</prosody> 끝",
            [("안녕", "안녕"), ("하나.", "하나."), ("둘", "둘"), ("끝", "끝")],
        ),
    ],
)
def test_a_sentence_of_ssml_is_from_its_first_to_its_last_spoken_character(
    markup: str, expected: list[tuple[str, str]]
) -> None:
    assert spoken_parts(markup) == expected


@settings(max_examples=100)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(["{}", "<b>{}</b>", "<!-- x -->{}", "<desc>x</desc>{}"])), max_size=5))
def test_every_sentence_of_ssml_is_found(parts: list[tuple[str, str]]) -> None:
    """Without the markup and with the references resolved, a sentence's part of the document is its text."""
    document = "<speak>" + "".join(markup.format(html.escape(text)) for text, markup in parts) + ".끝</speak>"
    end = 0
    for line in lines_of(document, "ko", 1.0, ssml=True):
        assert line.source is not None and end <= line.source[0] < line.source[1]
        part = document[slice(*line.source)]
        for tag in ("<b>", "</b>", "<!-- x -->", "<desc>x</desc>"):
            part = part.replace(tag, "")
        spoken = [char for char in html.unescape(part) if char.isalnum()]
        assert spoken == [char for char in line.text if char.isalnum()]
        end = line.source[1]


def test_every_reading_has_a_place_when_no_stand_in_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.synth.text.ssml_script._STANDINS", [])
    assert spoken_parts("하나 <sub alias='이'>둘</sub> 셋") == [("하나", "하나"), ("둘", "둘"), ("셋", "셋")]
