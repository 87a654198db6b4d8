"""What was heard of a text, and what was not, by the time that was played."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.heard_text import HeardText, heard_text, plain_source
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.spoken_text import SpokenText
from orastream.contract.word_time import WordTime

pytestmark = pytest.mark.unit


def spoken(*parts: SentenceStart | WordTime) -> SpokenText:
    """One chunk for each sentence start and each word."""
    found = SpokenText()
    for part in parts:
        starts = (part,) if isinstance(part, SentenceStart) else ()
        words = (part,) if isinstance(part, WordTime) else ()
        found.add(AudioChunk(1, 0, 0, 0, b"", sentences=starts, words=words))
    return found


def split(text: SpokenText, played_ms: int, audio_ms: int = 1_000, **more: Any) -> tuple[str, str, str | None]:
    return tuple(heard_text(text, played_ms, audio_ms=audio_ms, **more))


# ---- with the times of words

KOREAN = "예약은 2025년에 했어요. 맞나요?"
KOREAN_WORDS = (
    SentenceStart(0, 0, "예약은 2025년에 했어요.", 0, 15),
    WordTime(0, 0, 3, 0, 300),
    WordTime(0, 4, 10, 300, 400),  # four words are spoken for the number and what stands at it
    WordTime(0, 4, 10, 400, 500),
    WordTime(0, 4, 9, 500, 600),
    WordTime(0, 8, 10, 600, 700),
    WordTime(0, 11, 14, 700, 900),
    SentenceStart(1, 1_000, "맞나요?", 16, 20),
    WordTime(1, 16, 19, 1_000, 1_300),
)


@pytest.mark.parametrize("source", [KOREAN, None])
@pytest.mark.parametrize(
    ("played_ms", "heard", "unheard", "cut"),
    [
        (0, "", KOREAN, None),
        (1, "예약은", "2025년에 했어요. 맞나요?", "words"),
        (300, "예약은", "2025년에 했어요. 맞나요?", "words"),
        (301, "예약은 2025년에", "했어요. 맞나요?", "words"),
        (699, "예약은 2025년에", "했어요. 맞나요?", "words"),
        (701, "예약은 2025년에 했어요", ". 맞나요?", "words"),
        (900, "예약은 2025년에 했어요.", "맞나요?", None),
        (1_000, "예약은 2025년에 했어요.", "맞나요?", None),
        (1_001, "예약은 2025년에 했어요. 맞나요", "?", "words"),
        (1_300, KOREAN, "", None),
        (1_400, KOREAN, "", None),
        (9_999, KOREAN, "", None),
    ],
)
def test_heard_ends_at_the_end_of_the_word_that_was_being_heard(
    source: str | None, played_ms: int, heard: str, unheard: str, cut: str | None
) -> None:
    assert split(spoken(*KOREAN_WORDS), played_ms, 1_400, source=source) == (heard, unheard, cut)


def test_marks_at_a_word_are_heard_with_it_when_it_is_over() -> None:
    text = spoken(
        SentenceStart(0, 0, "Well, (so) no.", 0, 14),
        WordTime(0, 0, 4, 0, 100),
        WordTime(0, 7, 9, 100, 200),
        WordTime(0, 11, 13, 300, 400),
    )
    assert split(text, 99)[:2] == ("Well", ", (so) no.")
    assert split(text, 100)[:2] == ("Well,", "(so) no.")
    assert split(text, 250)[:2] == ("Well, (so)", "no.")
    assert split(text, 399) == ("Well, (so) no", ".", "words")


def test_words_that_share_characters_are_heard_together() -> None:
    text = spoken(
        SentenceStart(0, 0, "abcd efg", 0, 8),
        WordTime(0, 0, 3, 0, 100),
        WordTime(0, 2, 4, 100, 200),
        WordTime(0, 5, 8, 200, 300),
    )
    assert split(text, 50) == ("abcd", "efg", "words")


SSML = "<speak>가 &amp; 나 <sub alias='x'>WHO</sub>입니다.</speak>"


def ssml() -> SpokenText:
    who, last = SSML.index("WHO"), SSML.index("입니다")
    places = [(SSML.index("가"), 0), (SSML.index("&amp;"), 4), (SSML.index("나"), 0), (who, 2), (last, 2)]
    words = [WordTime(0, at, at + 1 + more, 100 * n, 100 * n + 100) for n, (at, more) in enumerate(places)]
    return spoken(SentenceStart(0, 0, "가 & 나 WHO입니다.", SSML.index("가"), SSML.index("</speak>")), *words)


def test_words_of_ssml_have_times_with_the_document() -> None:
    assert split(ssml(), 150, document=SSML) == ("가 &", "나 WHO입니다.", "words")
    assert split(ssml(), 350, document=SSML) == ("가 & 나 WHO", "입니다.", "words")
    assert split(ssml(), 250) == ("가 &", "나 WHO입니다.", "proportion")


# ---- without


def test_proportion_ends_at_the_end_of_a_word() -> None:
    text = spoken(SentenceStart(0, 0, "one two.", 3, 11), SentenceStart(1, 800, "three four", 12, 22))
    source = "   one two. three four  "
    assert split(text, 0, source=source) == ("", "one two. three four", None)
    assert split(text, 1, source=source) == ("one", "two. three four", "proportion")
    assert split(text, 300, source=source) == ("one", "two. three four", "proportion")
    assert split(text, 400, source=source) == ("one two.", "three four", "proportion")
    assert split(text, 800, source=source) == ("one two.", "three four", None)
    assert split(text, 801, source=source) == ("one two. three", "four", "proportion")
    assert split(text, 1_000, source=source) == ("one two. three four", "", None)


def test_marks_in_front_of_the_first_sentence_are_heard_with_it() -> None:
    text = spoken(SentenceStart(0, 100, "one two", 4, 11))
    assert split(text, 100, source="--- one two") == ("", "--- one two", None)
    assert split(text, 200, source="--- one two") == ("--- one", "two", "proportion")


# ---- audio that is not complete


def test_more_words_may_come_after_the_last_one_of_audio_that_is_not_complete() -> None:
    text = spoken(SentenceStart(0, 0, "a, b c d", 0, 8), WordTime(0, 0, 1, 0, 100), WordTime(0, 3, 4, 100, 200))
    for source in (None, "a, b c d"):
        assert split(text, 900, 900, complete=False, source=source) == ("a, b", "c d", "words")


def test_sentence_of_audio_that_is_not_complete_ends_at_the_pace_of_those_before_it() -> None:
    text = spoken(SentenceStart(0, 0, "aaaa bbbb.", 0, 10), SentenceStart(1, 1_000, "cccc dddd eeee ffff.", 11, 31))
    source = "aaaa bbbb. cccc dddd eeee ffff."
    expected = ("aaaa bbbb. cccc", "dddd eeee ffff.", "proportion")
    assert split(text, 1_300, 1_300, complete=False, source=source) == expected
    assert split(text, 1_300, 1_300, complete=False) == expected
    assert split(text, 2_999, 2_999, complete=False) == (source, "", "proportion")
    assert split(text, 1_300, 1_300) == (source, "", None)


def test_nothing_is_heard_of_a_text_without_audio() -> None:
    assert split(SpokenText(), 0, 0, complete=False, source=" a b ") == ("", "a b", None)
    assert split(SpokenText(), 0, 0, complete=False) == ("", "", None)


def test_sentence_that_begins_again_is_heard_from_its_last_start() -> None:
    text = spoken(
        SentenceStart(0, 0, "a b", 0, 3),
        WordTime(0, 0, 1, 0, 100),
        SentenceStart(1, 300, "c", 4, 5),
        SentenceStart(0, 400, "a b", 0, 3),
        WordTime(0, 0, 1, 400, 500),
        WordTime(0, 2, 3, 500, 600),
    )
    assert split(text, 350, source="a b c") == ("", "a b c", None)
    assert split(text, 450, source="a b c") == ("a", "b c", "words")
    assert split(text, 999, complete=False, source="a b c") == ("a b", "c", None)


# ---- places


def test_sentences_of_a_streamed_text_are_joined_as_they_stand_in_it() -> None:
    """Between the second and the third one the text has characters that are not known."""
    text = spoken(
        SentenceStart(0, 0, "네.", 0, 2),
        SentenceStart(1, 100, "그래요?", 2, 6),
        SentenceStart(3, 200, "", 8, 8),
        SentenceStart(4, 200, "음", 9, 10),
        SentenceStart(5, 300, "끝"),
    )
    assert split(text, 0) == ("", "네.그래요? 음 끝", None)
    assert split(text, 100) == ("네.", "그래요? 음 끝", None)
    assert split(text, 300) == ("네.그래요? 음", "끝", None)
    assert split(text, 1_000) == ("네.그래요? 음 끝", "", None)


def test_sentence_with_other_white_space_than_its_source_is_cut_in_the_source() -> None:
    source = "one  two\n\nthree. Four"
    text = spoken(SentenceStart(0, 0, "one two three.", 0, 16), SentenceStart(1, 700, "Four", 17, 21))
    assert split(text, 1, source=source)[:2] == ("one", "two\n\nthree. Four")
    assert split(text, 300, source=source)[:2] == ("one  two", "three. Four")
    assert split(text, 700, source=source) == ("one  two\n\nthree.", "Four", None)


def test_sentences_without_a_place_lie_between_their_neighbours() -> None:
    source = "one. two three. four."
    text = spoken(
        SentenceStart(0, 0, "one.", 0, 4), SentenceStart(1, 300, "2 3"), SentenceStart(2, 600, "four.", 16, 21)
    )
    assert split(text, 300, source=source) == ("one.", "two three. four.", None)
    assert split(text, 301, source=source)[:2] == ("one. two", "three. four.")
    assert split(text, 600, source=source) == ("one. two three.", "four.", None)


def test_plain_source_is_the_text_if_its_sentences_stand_in_it() -> None:
    source = "one.  two three."
    text = spoken(SentenceStart(0, 0, "one.", 0, 4), SentenceStart(1, 300, "two three.", 6, 16))
    assert plain_source(source, text) == source
    assert plain_source(None, text) is None
    assert plain_source(source[1:], text) is None
    assert plain_source(SSML, ssml()) is None
    assert plain_source(source, spoken(SentenceStart(0, 0, "one."))) is None


# ---- properties

WORDS = st.sampled_from(["a", "one", "안녕하세요", "2025년에", "(so)", "don't,", "!", "𝒳yz", "Zürich."])
GAPS = st.sampled_from([" ", "  ", "\n", " \t "])
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=5)


@st.composite
def utterances(draw: st.DrawFn, *, placed: bool | None = None) -> tuple[str, SpokenText, int]:
    """A text, what chunks say of it, and the length of its audio in ms."""
    source, text, at_ms = draw(st.sampled_from(["", " ", "- "])), SpokenText(), draw(st.integers(0, 50))
    with_words = draw(st.booleans())
    for number, words in enumerate(draw(SENTENCES)):
        first, begin_ms, times = len(source), at_ms, []
        for word in words:
            source += draw(GAPS) if times else ""
            for _ in range(draw(st.integers(1, 3))):  # words that a speaker says for this one
                end_ms = at_ms + draw(st.integers(1, 200))
                times.append(WordTime(number, len(source), len(source) + len(word), at_ms, end_ms))
                at_ms = end_ms
            at_ms += draw(st.integers(0, 50))
            source += word
        written = source[first:]
        shown = draw(st.sampled_from([written, " ".join(written.split())]))
        has_place = placed or (placed is None and draw(st.booleans()))
        place = (first, len(source)) if has_place else (None, None)
        starts = (SentenceStart(number, begin_ms, shown, *place),)
        if draw(st.booleans()):  # a first try that broke off
            text.add(AudioChunk(1, 0, 0, 0, b"", sentences=(replace(starts[0], ms=max(0, begin_ms - 1)),)))
        text.add(AudioChunk(1, 0, 0, 0, b"", sentences=starts, words=tuple(times) if with_words else ()))
        source += draw(GAPS)
    return source, text, at_ms + draw(st.integers(1, 100))


def chars(text: str) -> int:
    """How many characters are no white space."""
    return len("".join(text.split()))


def heard_by_step(text: SpokenText, audio_ms: int, **more: Any) -> list[HeardText]:
    return [heard_text(text, at, audio_ms=audio_ms, **more) for at in range(0, audio_ms + 20, 7)]


@given(utterances(), st.booleans())
def test_each_word_of_the_source_is_in_one_part_and_heard_grows(utterance: Any, complete: bool) -> None:
    source, text, audio_ms = utterance
    parts = heard_by_step(text, audio_ms, complete=complete, source=source)
    assert parts[0] == ("", source.strip(), None)
    for part in parts:
        assert "".join(part.heard.split()) + "".join(part.unheard.split()) == "".join(source.split())
    assert all(later.heard.startswith(earlier.heard) for earlier, later in pairwise(parts))
    assert heard_text(text, audio_ms, audio_ms=audio_ms, source=source) == (source.strip(), "", None)


@given(utterances(), st.booleans())
def test_each_word_of_the_sentences_is_in_one_part_and_heard_grows(utterance: Any, complete: bool) -> None:
    _, text, audio_ms = utterance
    whole = "".join("".join(start.text for start in text.starts).split())
    parts = heard_by_step(text, audio_ms, complete=complete)
    assert parts[0].heard == ""
    for part in parts:
        assert "".join(part.heard.split()) + "".join(part.unheard.split()) == whole
    assert all(later.heard.startswith(earlier.heard) for earlier, later in pairwise(parts))
    assert heard_text(text, audio_ms, audio_ms=audio_ms).unheard == ""


@given(utterances(placed=True), st.data())
def test_cut_is_at_the_end_of_the_word_that_was_being_heard(utterance: Any, data: st.DataObject) -> None:
    source, text, audio_ms = utterance
    played_ms = data.draw(st.integers(0, audio_ms - 1))
    heard, _, cut = heard_text(text, played_ms, audio_ms=audio_ms, source=source)
    expected, before, with_words = 0, chars(source[: text.starts[0].first]), False
    for sentence in text.sentences(audio_ms, source=source):
        begun = [word for word in sentence.words if word.begin_ms < played_ms]
        expected = before + chars(sentence.text[: begun[-1].end]) if begun else expected
        before += chars(sentence.text)
        with_words |= bool(sentence.words)
    assume(with_words)
    assert cut != "proportion"
    assert chars(heard) == expected


@given(utterances())
def test_proportion_is_of_texts_without_words(utterance: Any) -> None:
    _, text, audio_ms = utterance
    if all(not sentence.words for sentence in text.sentences(audio_ms)):
        assert {part.cut for part in heard_by_step(text, audio_ms)} <= {None, "proportion"}


SMALL = st.integers(0, 40)
STARTS = st.builds(
    lambda number, ms, text, place: SentenceStart(number, ms, text, *place),
    st.integers(0, 4),
    SMALL,
    st.text("aé 1.\n", max_size=12),
    st.just((None, None)) | st.tuples(SMALL, SMALL).map(lambda ends: (min(ends), max(ends))),
)
HOSTILE_WORDS = st.builds(
    lambda number, ends, times: WordTime(number, min(ends), max(ends), min(times), max(times)),
    st.integers(0, 4),
    st.tuples(SMALL, SMALL),
    st.tuples(SMALL, SMALL),
)


@given(
    st.lists(STARTS | HOSTILE_WORDS, max_size=12),
    st.text("aé 1.\n", max_size=30),
    st.integers(0, 60),
    st.booleans(),
    st.sampled_from(["source", "document", "neither"]),
)
def test_any_stored_chunk_gives_parts_that_grow(
    parts: list[SentenceStart | WordTime], source: str, audio_ms: int, complete: bool, which: str
) -> None:
    text = spoken(*parts)
    more = {} if which == "neither" else {which: source}
    found = [heard_text(text, at, audio_ms=audio_ms, complete=complete, **more) for at in range(70)]
    wholes = {"".join((part.heard + part.unheard).split()) for part in found}
    assert len(wholes) == 1
    assert all(later.heard.startswith(earlier.heard) for earlier, later in pairwise(found))
    if which == "source":
        assert wholes == {"".join(source.split())}


@pytest.mark.parametrize("kind", ["words", "document", "no places"])
def test_long_text_is_split_in_under_50_ms(kind: str) -> None:
    sentence = "ab cd. " if kind == "document" else "ab " * 10
    source = (sentence * 5_000)[:5_000]
    step = 30 if kind != "document" else 5_000
    text = SpokenText()
    for number, first in enumerate(range(0, 5_000, step)):
        shown = source[first : first + step].strip()
        place = (None, None) if kind == "no places" and number else (first, first + len(shown))
        text.add(AudioChunk(1, 0, 0, 0, b"", sentences=(SentenceStart(number, first * 10, shown, *place),)))
        words = [WordTime(number, at, at + 2, at * 10, at * 10 + 20) for at in range(first, first + len(shown), 3)]
        text.add(AudioChunk(1, 0, 0, 0, b"", words=tuple(words)))
    more = {"document": source} if kind == "document" else {"source": source}
    spent_s = []
    for played_ms in (49_000, 25_000, 24_000):
        begin_s = time.process_time()
        heard_text(text, played_ms, audio_ms=50_000, **more)
        spent_s.append(time.process_time() - begin_s)
    assert min(spent_s) < 0.05
