"""Captions: cues in order, without overlaps, that lose no word; and files that a strict reader of the grammar reads."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.contract.spoken_text import TimedSentence, TimedWord, is_space
from services.gateway.captions.caption_files import CAPTION_FILES, ESTIMATED_NOTE, subrip, webvtt
from services.gateway.captions.captions import MAX_CELLS, MAX_CELLS_WIDE, Captions, Cue, captions_of, cells
from tests.support.caption_parser import read_subrip, read_webvtt

pytestmark = pytest.mark.unit

CHARS = st.sampled_from([*'ab가나다3,.、。()"&<>-!😊\0\n\u2028\u0301\u200b', " ", " ", "한", "-->", "é"])
TEXTS = st.lists(CHARS, min_size=1, max_size=120).map("".join)


@st.composite
def sentences_of(draw: st.DrawFn) -> list[TimedSentence]:
    """Sentences with some of their words, in order. Times can be equal, or later than the next sentence's begin."""
    found: list[TimedSentence] = []
    at_ms = draw(st.integers(0, 400_000_000))
    for text in draw(st.lists(TEXTS.filter(lambda text: any(map(str.isalnum, text))), max_size=4)):
        places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
        words: list[TimedWord] = []
        word_ms = at_ms
        for first, end in zip(places[::2], places[1::2], strict=False):
            while first < end and is_space(text[first]):
                first += 1
            while first < end and is_space(text[end - 1]):
                end -= 1
            begin_ms = word_ms + draw(st.integers(0, 300))
            word_ms = begin_ms + draw(st.integers(0, 300))
            if first < end and draw(st.booleans()):
                words.append(TimedWord(first, end, begin_ms, word_ms))
        until_ms = at_ms + draw(st.integers(0, 6_000))
        found.append(TimedSentence(text, at_ms, until_ms, tuple(words)))
        at_ms = until_ms
    return found


def visible(text: str) -> str:
    return "".join(char for char in text if not is_space(char))


@given(sentences_of())
@example([TimedSentence("a b", 5, 5, ()), TimedSentence("c", 5, 5, ())])
@example([TimedSentence("--> a --->> b -", 0, 9, ())])
@example([TimedSentence("a\0 b", 0, 9, (TimedWord(0, 4, 1, 2),))])
def test_cues_are_in_order_without_overlaps_and_lose_no_word(sentences: list[TimedSentence]) -> None:
    captions = captions_of(sentences)
    cues = captions.cues
    assert visible("".join(cue.text for cue in cues)) == visible("".join(sentence.text for sentence in sentences))
    for cue, following in itertools.pairwise(cues):
        assert cue.end_ms <= following.begin_ms
    for cue in cues:
        assert cue.begin_ms < cue.end_ms
        assert (
            cue.text == cue.text.strip() and "  " not in cue.text and not any(map(is_space, cue.text.replace(" ", "")))
        )
        times = [cue.begin_ms, *(ms for _, ms in cue.words), cue.end_ms]
        assert times == sorted(set(times)), "times of words are in order and within the cue"
    # The reader checks the grammar: it refuses any other file.
    notes, read = read_webvtt(webvtt(captions))
    assert [(cue.begin_ms, cue.end_ms, cue.text, tuple(cue.words)) for cue in read] == list(cues)
    assert notes == ([ESTIMATED_NOTE] if captions.estimated else [])
    assert [(cue.begin_ms, cue.end_ms, visible(cue.text)) for cue in read_subrip(subrip(captions))] == [
        (cue.begin_ms, cue.end_ms, visible(cue.text)) for cue in cues
    ]


@given(sentences_of())
def test_cues_are_parts_of_a_sentence_and_of_whole_words(sentences: list[TimedSentence]) -> None:
    for sentence in sentences:
        cues = captions_of([sentence]).cues
        ends = set(itertools.accumulate(len(visible(cue.text)) for cue in cues))
        words = [(len(visible(sentence.text[: w.first])), len(visible(sentence.text[: w.end]))) for w in sentence.words]
        assert not any(first < end < last for first, last in words for end in ends), "a cue ends within a word"
        limit = MAX_CELLS_WIDE if any(cells(char) == 2 for char in sentence.text) else MAX_CELLS
        for cue in cues:
            parts = cue.text.split() if not sentence.words else []  # a part without a break can be longer
            assert cells(cue.text) <= limit or len(parts) <= 1


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=60), st.integers(0, 5_000))
def test_words_with_times_give_exact_cues(words: list[str], begin_ms: int) -> None:
    """Each cue begins and ends with its words; within it, the time of each word stands before that word."""
    text = " ".join(words) + "."
    timed: list[TimedWord] = []
    at = 0
    for number, word in enumerate(words):
        timed.append(TimedWord(at, at + len(word), begin_ms + 100 * number + 10, begin_ms + 100 * number + 90))
        at += len(word) + 1
    captions = captions_of([TimedSentence(text, begin_ms, begin_ms + 100 * len(words) + 900, tuple(timed))])
    assert not captions.estimated
    rest = iter(timed)
    for number, cue in enumerate(captions.cues):
        own = list(itertools.islice(rest, len(cue.text.split())))
        assert (cue.begin_ms, cue.end_ms) == (own[0].begin_ms if number else begin_ms, own[-1].end_ms)
        assert [ms for _, ms in cue.words] == [word.begin_ms for word in own[1:]]
        assert [cue.text[offset:].split()[0].strip(".") for offset, _ in cue.words] == [
            text[word.first : word.end] for word in own[1:]
        ]
    assert next(rest, None) is None


def texts_of(*texts: str) -> list[str]:
    return [cue.text for cue in captions_of([TimedSentence(text, 0, 9_000, ()) for text in texts]).cues]


def test_long_sentences_are_split_after_punctuation_into_parts_of_about_one_length() -> None:
    assert texts_of("안녕하세요, 반갑습니다. 오늘은 날씨가 아주 좋고 하늘도 파랗습니다.") == [
        "안녕하세요, 반갑습니다.",
        "오늘은 날씨가 아주 좋고",
        "하늘도 파랗습니다.",
    ]
    assert texts_of("The quick brown fox jumps over the lazy dog, and then it sleeps.") == [
        "The quick brown fox jumps over",
        "the lazy dog, and then it sleeps.",
    ]
    assert texts_of("Then he said “yes,” and went on and on and on.") == [
        "Then he said “yes,”",
        "and went on and on and on.",
    ]


def test_length_is_counted_as_for_korean_and_latin_lines() -> None:
    assert texts_of("가" * 16, "a" * 42, "가" * 40) == ["가" * 16, "a" * 42, "가" * 40], "a word is never split"
    assert texts_of(f"{'가' * 8} {'나' * 8}") == ["가" * 8, "나" * 8], "33 cells"
    assert texts_of(f"{'a' * 20} {'b' * 21}") == [f"{'a' * 20} {'b' * 21}"]
    assert texts_of(f"{'a' * 21} {'b' * 21}") == ["a" * 21, "b" * 21]
    assert cells("한글") == cells("\u1112\u1161\u11ab\u1100\u1173\u11af") == 4, "composed or not"


def test_text_without_white_space_is_split_at_its_punctuation() -> None:
    assert texts_of("今日はとてもいい天気ですね、明日も晴れるといいです。") == [
        "今日はとてもいい天気ですね、",
        "明日も晴れるといいです。",
    ]
    time = "あ" * 13 + "１２：３０" + "い" * 13
    assert texts_of(time) == [time], "a time of the clock is a word"


def test_sentence_with_nothing_but_signs_takes_time_in_proportion_to_its_length() -> None:
    began = time.process_time()
    assert len(texts_of("! " * 60_000)) == 2_858, "21 signs on a line"
    assert time.process_time() - began < 6


def test_times_without_words_are_in_proportion_to_the_characters() -> None:
    text = f"{'a' * 30} {'b' * 29}"
    captions = captions_of([TimedSentence(text, 1_000, 7_000, ())])
    assert captions == Captions((Cue(1_000, 4_000, "a" * 30), Cue(4_100, 7_000, "b" * 29)), True)


def test_brackets_before_a_word_are_shown_with_it() -> None:
    words = (TimedWord(0, 1, 0, 100), TimedWord(3, 4, 100, 200), TimedWord(4, 5, 200, 300))
    captions = captions_of([TimedSentence("a (b가)", 0, 400, words)])
    assert "a <00:00:00.100>(b<00:00:00.200>가)" in webvtt(captions)
    assert captions.cues[0].end_ms == 300


def test_words_that_are_spoken_as_one_are_not_split() -> None:
    text = f"{'a' * 20} {'b' * 19} {'c' * 20}"
    assert texts_of(text) == [f"{'a' * 20} {'b' * 19}", "c" * 20]
    words = (TimedWord(0, 20, 0, 100), TimedWord(21, 61, 100, 200))
    assert [cue.text for cue in captions_of([TimedSentence(text, 0, 300, words)]).cues] == ["a" * 20, text[21:]]


def test_word_that_begins_with_its_cue_has_no_time_in_it() -> None:
    (cue,) = captions_of([TimedSentence("😊 a b", 5, 90, (TimedWord(2, 3, 5, 50), TimedWord(4, 5, 50, 90)))]).cues
    assert cue == Cue(5, 90, "😊 a b", ((4, 50),))


@pytest.mark.parametrize("unknown", range(3))
def test_word_without_a_time_makes_the_captions_estimated(unknown: int) -> None:
    words = [TimedWord(0, 1, 0, 10), TimedWord(2, 3, 10, 20), TimedWord(4, 5, 20, 30)]
    assert not captions_of([TimedSentence("a b c.", 0, 40, tuple(words))]).estimated
    del words[unknown]
    captions = captions_of([TimedSentence("a b c.", 0, 40, tuple(words))])
    assert captions.estimated and captions.cues[0].end_ms == (40 if unknown == 2 else 30)


def test_files() -> None:
    captions = Captions((Cue(3_599_999, 360_000_000, "R&D <b> --> c", ((2, 3_600_000),)),), True)
    assert webvtt(captions, ["The audio was cancelled."]) == (
        "WEBVTT\n\nNOTE The audio was cancelled.\n\nNOTE " + ESTIMATED_NOTE + "\n\n"
        "00:59:59.999 --> 100:00:00.000\nR&amp;<01:00:00.000>D &lt;b&gt; --&gt; c\n"
    )
    assert subrip(captions) == "1\n00:59:59,999 --> 100:00:00,000\nR&D <b> -- > c\n"
    assert (webvtt(Captions((), False)), subrip(Captions((), False))) == ("WEBVTT\n", "")
    assert {kind: media for kind, (media, _) in CAPTION_FILES.items()} == {
        "vtt": "text/vtt; charset=utf-8",
        "srt": "application/x-subrip; charset=utf-8",
    }
