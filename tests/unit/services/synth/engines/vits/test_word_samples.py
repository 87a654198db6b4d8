"""Words are spoken from their first letter to their last one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.base import SpokenWord
from services.synth.engines.vits.alphabet import SpelledWord
from services.synth.engines.vits.word_samples import spoken_words

pytestmark = pytest.mark.unit


def test_the_letter_between_two_words_belongs_to_neither() -> None:
    words = [SpelledWord("ab", 0, 2), SpelledWord("c", 4, 5)]
    letters = [(10, 20), (20, 35), (40, 60), (65, 70)]
    assert spoken_words(words, 1, letters) == [SpokenWord(0, 2, 10, 35), SpokenWord(4, 5, 65, 70)]
    assert spoken_words(words, 0, letters[:3]) == [SpokenWord(0, 2, 10, 35), SpokenWord(4, 5, 40, 60)]


def test_without_times_of_letters_there_are_no_words() -> None:
    assert spoken_words([SpelledWord("ab", 0, 2)], 1, []) == []


@given(st.lists(st.integers(1, 5), min_size=1), st.booleans(), st.data())
def test_words_are_in_order_and_have_samples(lengths: list[int], spaced: bool, data: st.DataObject) -> None:
    words = [SpelledWord("x" * length, number, number + 1) for number, length in enumerate(lengths)]
    count = sum(lengths) + spaced * (len(words) - 1)
    lasts = data.draw(st.lists(st.integers(0, 3), min_size=2 * count, max_size=2 * count))
    times = [0, *itertools.accumulate(lasts)]
    letters = [(times[2 * number], times[2 * number + 1]) for number in range(count)]  # a blank after each letter
    found = spoken_words(words, int(spaced), letters)
    for word, following in itertools.pairwise(found):
        assert word.end <= following.first and word.end_sample <= following.begin_sample
    assert all(word.begin_sample < word.end_sample <= times[-1] for word in found)
