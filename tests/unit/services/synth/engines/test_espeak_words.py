"""The words of a sentence from eSpeak's events, and their order with the audio."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.base import SpokenWord
from services.synth.engines.composed import Composed
from services.synth.engines.espeak_words import EspeakEvent, WordedAudio

pytestmark = pytest.mark.unit

SOUND, SILENCE = b"\1\1", b"\0\0"


def words_of(text: str, events: list[tuple[int, int, int]], samples: int) -> list[tuple[str, int, int]]:
    """The words of word events (position from 1, length, sample) in one clause, and their samples."""
    found: list[SpokenWord] = []
    audio = WordedAudio(text, lambda _: True, found.append)
    listed = [EspeakEvent("word", position - 1, length, sample) for position, length, sample in events]
    audio.receive(SOUND * samples, [*listed, EspeakEvent("end", len(text), 0, samples)])
    audio.finish()
    return [(text[word.first : word.end], word.begin_sample, word.end_sample) for word in found]


@pytest.mark.parametrize(
    ("text", "events", "expected"),
    [
        ("안녕, (둘).", [(1, 2, 0), (6, 1, 10)], ["안녕", "둘"]),
        ("세 명이 왔다", [(1, 1, 0), (6, 2, 10)], ["세 명이", "왔다"]),
        ("don't e-mail", [(1, 3, 0), (7, 1, 10)], ["don't", "e-mail"]),
        (
            "1234567원 2025년",
            [(1, 7, 0), (2, 7, 10), (1, 7, 20), (8, 1, 30), (10, 4, 40), (11, 4, 45)],
            ["1234567원", "2025년"],
        ),
        ("3.14 km", [(1, 4, 0), (2, 4, 10), (2, 4, 20), (6, 2, 30)], ["3.14", "km"]),
        ("and/or", [(1, 3, 0), (4, 1, 10), (5, 2, 20)], ["and", "/", "or"]),
        ("5% 3$ 😊.", [(1, 1, 0), (4, 1, 10)], ["5%", "3$"]),
        ("가 나 다", [(3, 1, 10), (5, 1, 20)], ["가 나", "다"]),
        ("one two", [(1, 3, 10), (5, 3, 10)], ["one two"]),
        ("ca. five km", [(1, 2, 0), (4, 4, 10), (10, 2, 20)], ["ca", "five", "km"]),
        ("(네).", [], ["네"]),
        ("네 안녕", [(3, 2, 10)], ["네 안녕"]),
        ("— …", [], []),
    ],
)
def test_words_of_events(text: str, events: list[tuple[int, int, int]], expected: list[str]) -> None:
    found = words_of(text, events, 50)
    assert [word for word, _, _ in found] == expected
    assert all(end == begin for (_, _, end), (_, begin, _) in zip(found, found[1:], strict=False))
    assert not found or found[-1][2] == 50
    assert not found or found[0][1] == (0 if text.startswith(("네", "(네", "가")) else events[0][2])


@given(
    st.text("가나 a1.,'-/😊", max_size=20),
    st.lists(st.tuples(st.integers(-2, 25), st.integers(0, 25), st.booleans()), max_size=12),
    st.data(),
)
def test_any_events_give_words_in_order_before_the_audio_in_which_they_end(
    text: str, events: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    samples = sorted(data.draw(st.lists(st.integers(0, 40), min_size=len(events), max_size=len(events))))
    listed = [
        EspeakEvent("end" if ends else "word", first, length, at)
        for (first, length, ends), at in zip(events, samples, strict=True)
    ]
    pcm = b"".join(data.draw(st.lists(st.sampled_from([SOUND, SILENCE]), min_size=41, max_size=41)))
    found: list[SpokenWord] = []
    given: list[bytes] = []

    def word(new: SpokenWord) -> None:
        before = found[-1] if found else SpokenWord(0, 0, 0, 0)
        assert before.end <= new.first < new.end <= len(text)
        assert before.end_sample <= new.begin_sample < new.end_sample
        assert len(b"".join(given)) < 2 * new.end_sample, "its last sample was given before it"
        found.append(new)

    audio = WordedAudio(text, lambda piece: given.append(piece) is None, word)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(1, 40), max_size=6))), 41]
    for first, end in zip(cuts, cuts[1:], strict=False):
        assert audio.receive(pcm[2 * first : 2 * end], [event for event in listed if first <= event.sample < end])
    assert audio.finish()
    assert b"".join(given) == pcm


def test_a_last_word_ends_with_the_sound_before_the_pause() -> None:
    """The pause takes several pieces, and eSpeak says only then that the clause has ended."""
    found: list[SpokenWord] = []
    given: list[int] = []
    audio = WordedAudio("가. 나", lambda piece: given.append(len(piece) // 2) is None, found.append)
    audio.receive(SOUND * 10, [EspeakEvent("word", 0, 1, 0)])
    audio.receive(SOUND * 4 + SILENCE * 6, [])
    audio.receive(SILENCE * 10, [])
    assert not found and sum(given) == 10, "the piece in which the word ends is held"
    audio.receive(SILENCE * 5 + SOUND * 5, [EspeakEvent("end", 3, 0, 25), EspeakEvent("word", 3, 1, 25)])
    assert found == [SpokenWord(0, 1, 0, 14)] and sum(given) == 30
    assert audio.finish()
    assert found == [SpokenWord(0, 1, 0, 14), SpokenWord(3, 4, 25, 40)] and sum(given) == 40


def test_nothing_is_given_after_a_stop() -> None:
    audio = WordedAudio("가", lambda _: False, lambda _: None)
    assert not audio.receive(SOUND, [])


# ---- normal form C

DECOMPOSED = st.text("가각뷁aeé́̂ᄀ하ᅡᆨ1 ক্ষো", max_size=12).map(lambda text: unicodedata.normalize("NFD", text))


@given(st.one_of(DECOMPOSED, st.text(max_size=12)), st.data())
def test_the_place_of_composed_characters_makes_them_again(given_text: str, data: st.DataObject) -> None:
    composed = Composed(given_text)
    assert composed.text == unicodedata.normalize("NFC", given_text)
    places = [composed.place(at, at + 1) for at in range(len(composed.text))]
    assert places == sorted(places) and all(first < end for first, end in places)
    if composed.text:
        assert (places[0][0], places[-1][1]) == (0, len(given_text))
        first = data.draw(st.integers(0, len(composed.text) - 1))
        end = data.draw(st.integers(first + 1, len(composed.text)))
        begin, after = composed.place(first, end)
        assert (begin, after) == (places[first][0], places[end - 1][1])
        assert composed.text[first:end] in unicodedata.normalize("NFC", given_text[begin:after])


def test_only_marks_and_jamo_compose_with_the_character_before() -> None:
    """The rule is about kinds of characters; this is each character that NFC puts behind another one."""
    seconds = {parts[-1] for at in range(0x110000) if len(parts := unicodedata.normalize("NFD", chr(at))) > 1}
    assert len(seconds) > 50
    assert all(unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff" for char in seconds)
