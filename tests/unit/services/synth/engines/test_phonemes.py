"""The marks around phonemes: only a reading gets them, and only for an engine that takes phonemes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.pronunciations import PHONEMES
from services.synth.engines.phonemes import CLOSE, OPEN, has_phonemes, in_brackets, said_by

pytestmark = pytest.mark.unit

MARKED = f"{OPEN * 2}w'In{CLOSE * 2}"


def test_phonemes_are_for_espeak_alone() -> None:
    assert said_by("espeak", "[[w'In]]") == MARKED
    assert said_by("vits", "[[w'In]]") is None
    assert said_by("espeak", "Win") == said_by("vits", "Win") == "Win"


@given(st.text(st.sampled_from("[]a "), max_size=12), st.text(st.sampled_from("[]a "), max_size=12))
def test_only_marked_text_is_between_double_brackets_and_each_character_keeps_its_place(
    before: str, after: str
) -> None:
    sentence = f"{before}{MARKED}{after}"
    shown = in_brackets(sentence)
    assert has_phonemes(sentence) and not has_phonemes(shown) and len(shown) == len(sentence)
    assert shown.count("[[") == 1 and shown.index("[[") == len(before)
    assert "[[[" not in shown and PHONEMES.match(shown, len(before))
