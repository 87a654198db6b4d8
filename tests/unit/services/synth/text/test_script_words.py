"""The lines of a text with words of a lexicon: plain text and SSML, and the places of what is said."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.reading.lexicon import Lexicon, Pronunciation
from services.synth.text.script import ScriptLine, lines_of
from services.synth.text.text_rules import TextRules

pytestmark = pytest.mark.unit

WORDS = Lexicon({
    "ko": {
        "SQL": Pronunciation("시퀄"), "㈜오라": Pronunciation("주식회사 오라"), "WHO": Pronunciation("후"),
        "Top 10": Pronunciation("톱텐"), "꽃": Pronunciation("꼳"),
        "Nguyen": Pronunciation("\ufdd0\ufdd0w'In\ufdd1\ufdd1"),
    }
})  # fmt: skip


def spoken(inner: str, *, reads: bool = True) -> list[str]:
    lines = lines_of(f"<speak>{inner}</speak>", "ko-KR", 1.0, ssml=True, rules=TextRules(reads=reads, lexicon=WORDS))
    return [line.spoken for line in lines]


def places(lines: list[ScriptLine], text: str) -> list[tuple[str, str]]:
    """Each spoken word with its part of the text."""
    found = [(word[0], line.place(*word.span())) for line in lines for word in re.finditer(r"\S+", line.spoken)]
    return [(word, text[slice(*place)]) for word, place in found if place is not None]


def test_places_of_the_written_words() -> None:
    text = "SQL은 3개, ㈜오라와  Top  10을. **WHO**?"
    lines = lines_of(text, "ko-KR", 1.0, rules=TextRules(lexicon=WORDS))
    assert places(lines, text) == [
        ("시퀄은", "SQL은"),
        ("세", "3개"),
        ("개,", "3개,"),
        ("주식회사", "㈜오라"),
        ("오라와", "㈜오라와"),
        ("톱텐을.", "Top  10을."),
        ("후?", "WHO**?"),
    ]
    assert [line.text for line in lines] == ["SQL은 3개, ㈜오라와  Top  10을.", "**WHO**?"]


def test_ssml_says_words_of_the_text_but_not_of_sub_and_say_as() -> None:
    assert spoken("SQL은 <sub alias='WHO'>SQL</sub>와 <emphasis>WHO</emphasis>.") == ["시퀄은 더블유에이치오와 후."]
    assert spoken("<say-as interpret-as='characters'>SQL</say-as> SQL") == ["에스 큐 엘 시퀄"]
    assert spoken("SQL은 <sub alias='WHO'>x</sub>", reads=False) == ["시퀄은 WHO"]
    assert spoken("<s>SQL은</s><s>[[a]] Nguyen</s>", reads=False) == ["시퀄은", "[[a]] \ufdd0\ufdd0w'In\ufdd1\ufdd1"]


def test_places_in_ssml() -> None:
    document = "<speak>SQL은 <emphasis>W&#72;O</emphasis>. <sub alias='WHO'>SQL</sub></speak>"
    lines = lines_of(document, "ko-KR", 1.0, ssml=True, rules=TextRules(lexicon=WORDS))
    assert places(lines, document)[:2] == [("시퀄은", "SQL은"), ("후.", "W&#72;O</emphasis>.")]


def test_text_cannot_inject_phonemes() -> None:
    for document, ssml in (
        ("\ufdd0\ufdd0a\ufdd1\ufdd1 [[b]]", False),
        ("<speak>&#xFDD0;&#xFDD0;a [[b]]</speak>", True),
    ):
        for reads in (False, True):
            for language in ("ko", "en", "ja"):
                lines = lines_of(document, language, 1.0, ssml=ssml, rules=TextRules(reads=reads, lexicon=WORDS))
                assert lines and not any("\ufdd0" in line.spoken for line in lines)


def test_alias_cannot_inject_phonemes() -> None:
    sub = "<sub alias='&#xFDD0;&#xFDD0;a&#xFDD1;&#xFDD1;'>x</sub>"
    document = f"<speak>{sub} <say-as interpret-as='x'>&#xFDD0;&#xFDD0;b</say-as></speak>"
    for reads in (False, True):
        lines = lines_of(document, "ko", 1.0, ssml=True, rules=TextRules(reads=reads))
        assert lines and not any("\ufdd0" in line.spoken for line in lines)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["SQL", "은 ", " ", "㈜오라", "Top  10", ". ", "3개 ", "Nguyen", "꽃", "**", "\n", "Wörter "]),
        max_size=14,
    ),
    st.booleans(),
    st.booleans(),
)
def test_each_word_has_a_place_in_its_sentence_and_in_order(parts: list[str], ssml: bool, reads: bool) -> None:
    text = unicodedata.normalize("NFD", "".join(parts) + "끝")
    document = f"<speak>{html.escape(text)}</speak>" if ssml else text
    lines, last = lines_of(document, "ko-KR", 1.0, ssml=ssml, rules=TextRules(reads=reads, lexicon=WORDS)), (0, 0)
    for line in lines:
        for word in re.finditer(r"\S+", line.spoken):
            place = line.place(*word.span())
            assert place is not None and line.source is not None
            assert line.source[0] <= place[0] <= place[1] <= line.source[1]
            assert last[0] <= place[0] and last[1] <= place[1]
            last = place
