"""The sentences and words of an utterance, collected from its chunks."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.spoken_text import SpokenText, TimedSentence, TimedWord, is_space
from orastream.contract.word_time import WordTime

pytestmark = pytest.mark.unit


def chunk(pts_ms: int, *parts: SentenceStart | WordTime) -> AudioChunk:
    starts = tuple(part for part in parts if isinstance(part, SentenceStart))
    words = tuple(part for part in parts if isinstance(part, WordTime))
    return AudioChunk(1, 0, pts_ms, 0, b"", sentences=starts, words=words)


def spoken(*chunks: AudioChunk) -> SpokenText:
    found = SpokenText()
    for each in chunks:
        found.add(each)
    return found


def test_words_are_in_their_sentence() -> None:
    text = spoken(
        chunk(0, SentenceStart(0, 10, "하나 둘.", 3, 8), WordTime(0, 3, 5, 10, 200)),
        chunk(300, WordTime(0, 6, 7, 200, 400), SentenceStart(2, 500, "끝", 9, 10)),
        chunk(600, WordTime(2, 9, 10, 500, 700), WordTime(7, 0, 1, 0, 0)),
    )
    assert text.sentences(900) == [
        TimedSentence("하나 둘.", 10, 500, (TimedWord(0, 2, 10, 200), TimedWord(3, 4, 200, 400))),
        TimedSentence("끝", 500, 900, (TimedWord(0, 1, 500, 700),)),
    ]
    assert text.sentences(None)[-1].until_ms == 700, "the audio is at least as long as its last word"


def test_last_start_of_a_sentence_counts_and_what_followed_the_earlier_one_is_void() -> None:
    text = spoken(
        chunk(0, SentenceStart(0, 0, "a b", 0, 3), WordTime(0, 0, 1, 0, 100)),
        chunk(200, SentenceStart(1, 200, "c", 4, 5), WordTime(1, 4, 5, 200, 300)),
        chunk(400, SentenceStart(0, 400, "a b", 0, 3), WordTime(0, 0, 1, 400, 500)),
        chunk(600, WordTime(0, 2, 3, 600, 700)),
    )
    assert text.sentences(800) == [
        TimedSentence("a b", 400, 800, (TimedWord(0, 1, 400, 500), TimedWord(2, 3, 600, 700)))
    ]


def test_words_that_are_spoken_for_one_number_are_one() -> None:
    words = (
        WordTime(0, 0, 6, 0, 100),
        WordTime(0, 0, 6, 100, 200),
        WordTime(0, 4, 6, 200, 300),
        WordTime(0, 7, 8, 300, 400),
    )
    text = spoken(chunk(0, SentenceStart(0, 0, "2025년에 와", 0, 8), *words))
    (sentence,) = text.sentences(500)
    assert sentence.words == (TimedWord(0, 6, 0, 300), TimedWord(7, 8, 300, 400))


def test_words_that_overlap_in_time_are_one() -> None:
    """No synth stores such words; captions must not overlap all the same."""
    words = (WordTime(0, 0, 1, 0, 200), WordTime(0, 2, 3, 100, 150), WordTime(0, 4, 5, 200, 300))
    (sentence,) = spoken(chunk(0, SentenceStart(0, 0, "a b c", 0, 5), *words)).sentences(400)
    assert sentence.words == (TimedWord(0, 3, 0, 200), TimedWord(4, 5, 200, 300))


SSML = "<speak>가 &amp; 나<desc>가나</desc> <sub alias='x'>WHO</sub>입니다.</speak>"


def ssml_words() -> tuple[AudioChunk, ...]:
    first, end = SSML.index("가"), SSML.index("</speak>")
    amp, na, who = SSML.index("&amp;"), SSML.index("나"), SSML.index("WHO")
    return (
        chunk(
            0,
            SentenceStart(0, 0, "가 & 나 WHO입니다.", first, end),
            WordTime(0, first, first + 1, 0, 100),
            WordTime(0, amp, amp + 5, 100, 150),
            WordTime(0, na, na + 1, 150, 200),
            WordTime(0, who, end - 1, 200, 300),
        ),
    )


def test_words_of_ssml_are_found_in_the_sentence() -> None:
    (sentence,) = spoken(*ssml_words()).sentences(400, source=SSML)
    assert [sentence.text[word.first : word.end] for word in sentence.words] == ["가", "&", "나", "WHO입니다"]
    (unknown,) = spoken(*ssml_words()).sentences(400)
    assert unknown.words == (), "without the request's text there are no places in the sentence"


def test_word_of_many_less_than_signs_takes_time_in_proportion_to_its_length() -> None:
    """CDATA can have them, and a word without white space is as long as the text."""
    source = f"<speak><![CDATA[{'<' * 100_000}a]]></speak>"
    first, end = source.index("<<"), source.index("]]>")
    began = time.process_time()
    # The text is not what stands in the source, so the place of the word is looked up without the markup, too.
    (sentence,) = spoken(chunk(0, SentenceStart(0, 0, "a", first, end), WordTime(0, first, end, 0, 100))).sentences(
        100, source=source
    )
    assert sentence.words == ()
    assert time.process_time() - began < 3


@pytest.mark.parametrize("words", [1, 0])
def test_audio_that_was_cut_ends_with_the_last_word_that_was_spoken(words: int) -> None:
    whole = chunk(0, SentenceStart(0, 0, "a b.", 0, 4), WordTime(0, 0, 1, 0, 90), WordTime(0, 2, 3, 90, 200))
    cut = chunk(300, SentenceStart(1, 300, "“c,” d e.", 5, 14), *[WordTime(1, 6, 7, 300, 400)][:words])
    first, *others = spoken(whole, cut).sentences(450, complete=False)
    assert first.text == "a b." and [other.text for other in others] == ["“c,”"][:words]
    assert [sentence.text for sentence in spoken(whole, cut).sentences(450)] == ["a b.", "“c,” d e."]


def test_audio_of_an_engine_without_words_keeps_its_last_sentence() -> None:
    text = spoken(chunk(0, SentenceStart(0, 0, "a b.", 0, 4)))
    assert text.sentences(100, complete=False) == [TimedSentence("a b.", 0, 100, ())]


NUMBERS = st.integers(0, 12)
TIMES_MS = st.integers(0, 900)
SPANS = st.tuples(NUMBERS, NUMBERS).map(sorted)


@given(
    st.lists(
        st.one_of(
            st.tuples(NUMBERS, TIMES_MS, st.text("ab \0", max_size=9), SPANS).map(
                lambda of: SentenceStart(*of[:3], *of[3])
            ),
            st.tuples(NUMBERS, SPANS, st.tuples(TIMES_MS, TIMES_MS).map(sorted)).map(
                lambda of: WordTime(of[0], *of[1], *of[2])
            ),
        ),
        max_size=30,
    ),
    st.none() | TIMES_MS,
    st.booleans(),
    st.none() | st.text("ab <>", max_size=12),
)
def test_any_chunks_give_words_in_order_within_their_sentence(
    parts: list[SentenceStart | WordTime], audio_ms: int | None, complete: bool, source: str | None
) -> None:
    for sentence in spoken(*(chunk(0, part) for part in parts)).sentences(audio_ms, complete=complete, source=source):
        assert sentence.begin_ms <= sentence.until_ms
        at = at_ms = 0
        for word in sentence.words:
            assert at <= word.first < word.end <= len(sentence.text) and at_ms <= word.begin_ms <= word.end_ms
            assert not is_space(sentence.text[word.first]) and not is_space(sentence.text[word.end - 1])
            at, at_ms = word.end, word.end_ms
