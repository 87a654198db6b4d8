"""The text for a model has only letters that it knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.vits.alphabet import Alphabet
from services.synth.engines.vits.languages import chosen, tag_of

pytestmark = pytest.mark.unit

LETTERS = " '-abcdefghijklmnopqrstuvwxyz"
ENGLISH = Alphabet([*LETTERS, "<unk>"], romanise=False)
KOREAN = Alphabet(LETTERS.replace("f", "").replace("v", ""), romanise=True)


@pytest.mark.parametrize(
    ("sentence", "spelled"),
    [
        ("Hello, how can I help you today?", "hello how can i help you today"),
        ("don’t — really—stop", "don't really-stop"),
        ("Café naïve ＡＢ ﬁne", "cafe naive ab fine"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("one\ntwo\tthree,four", "one two three four"),
        ("room 12b", "room b"),
        ("- ' … !", ""),
        ("안녕", ""),
        ("123", ""),
        ("", ""),
    ],
)
def test_english_text_is_spelled_with_known_letters(sentence: str, spelled: str) -> None:
    assert ENGLISH.spelled(sentence) == spelled


@pytest.mark.parametrize(
    ("sentence", "spelled"),
    [
        ("안녕하세요, 무엇을 도와드릴까요?", "annyeonghaseyo mueoseul dowadeurilggayo"),
        ("첫째—둘째", "ceosjjae-duljjae"),
        ("fire와 video", "irewa ideo"),
        ("1, 2.", ""),
    ],
)
def test_korean_text_is_spelled_with_known_letters(sentence: str, spelled: str) -> None:
    assert KOREAN.spelled(sentence) == spelled


def test_letters_of_the_vocabulary_are_kept() -> None:
    """A vocabulary may have capitals, accents or Hangul, and may lack the space."""
    assert Alphabet("aÄé가", romanise=False).spelled("A Ä é 가 나") == "aÄé가"


@given(st.text(max_size=60))
def test_spelled_text_contains_only_known_letters(sentence: str) -> None:
    for alphabet in (ENGLISH, KOREAN):
        spelled = alphabet.spelled(sentence)
        assert set(spelled) <= set(LETTERS)
        assert spelled == spelled.strip() and "  " not in spelled
        assert alphabet.spelled(spelled) == spelled


@given(st.text("가각ᄀ́a'-e\u0301 ,.ﬁＡ\u00ad1", max_size=30) | st.text(max_size=60))
def test_a_word_is_spelled_from_its_place_in_the_sentence(sentence: str) -> None:
    for alphabet in (ENGLISH, KOREAN):
        words = alphabet.words(sentence)
        assert alphabet.spelled(sentence) == " ".join(word.letters for word in words)
        end = 0
        for word in words:
            assert end <= word.first < word.end
            assert alphabet.spelled(sentence[word.first : word.end]) == word.letters.strip("'-")
            end = word.end


def test_places_of_words() -> None:
    sentence = "‘안녕’, don’t—fire 12 와!"
    assert [sentence[first:end] for _, first, end in KOREAN.words(sentence)] == ["안녕", "don’t—fire", "와"]


def test_some_returns_letters_that_the_model_can_speak() -> None:
    assert ENGLISH.spelled(ENGLISH.some) == ENGLISH.some == "abcdefghijkl"


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("kor", "ko"),
        ("eng", "en"),
        ("ko-KR", "ko-KR"),
        ("EN_us", "en-US"),
        ("uzb-script_latin", "uz"),
        ("yue", "yue"),
        ("ace", "ace"),
        ("ko-Hang-KR", "ko"),
        ("", None),
        ("korean", None),
        ("k0", None),
        ("한국", None),
    ],
)
def test_tag_of_returns_the_language_tag_of_a_code(code: str, tag: str | None) -> None:
    assert tag_of(code) == tag


@pytest.mark.parametrize(
    ("language", "number"),
    [("ko-KR", 0), ("ko", 0), ("en-US", 2), ("en", 1), ("en-AU", 1), ("eng", 1), ("fr-FR", 0), ("?", 0)],
)
def test_chosen_returns_the_voice_of_a_language(language: str, number: int) -> None:
    assert chosen(language, ["ko", "en", "en-US"]) == number
