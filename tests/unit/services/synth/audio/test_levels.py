"""Which gain a voice gets, and which versions its audio has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.audio.levels import MAX_GAIN_DB, MAX_PEAK_DBFS, MIN_GAIN_DB, NO_LEVELS, STEP_DB, Levels, gain_for
from services.synth.audio.loudness import Loudness

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("lufs", "peak_dbfs", "target", "gain_db"),
    [
        (-23.0, -12.0, -16.0, 7.0),
        (-23.2, -12.0, -16.0, 7.0),  # to the nearest step
        (-22.7, -12.0, -16.0, 6.5),
        (-20.0, -3.2, -16.0, 2.0),  # its peaks have room for 2.2 dB
        (-20.0, -0.5, -16.0, 0.0),  # no room: never lowered because of its peaks
        (-20.0, 0.4, -16.0, 0.0),
        (-12.0, 0.0, -16.0, -4.0),
        (-16.1, -9.0, -16.0, 0.0),
        (-69.0, -50.0, -16.0, MAX_GAIN_DB),
        (-5.0, 0.0, -40.0, MIN_GAIN_DB),
    ],
)
def test_gain_towards_the_target(lufs: float, peak_dbfs: float, target: float, gain_db: float) -> None:
    assert gain_for(Loudness(lufs, peak_dbfs), target) == gain_db


@given(st.floats(-69, 3), st.floats(-60, 6), st.floats(-40, -5))
def test_a_gain_is_of_whole_steps_and_does_not_clip(lufs: float, peak_dbfs: float, target: float) -> None:
    gain = gain_for(Loudness(lufs, peak_dbfs), target)
    assert gain % STEP_DB == 0 and MIN_GAIN_DB <= gain <= MAX_GAIN_DB and str(gain) != "-0.0"
    assert gain <= 0 or peak_dbfs + gain <= MAX_PEAK_DBFS
    assert abs(gain) <= abs(target - lufs) + STEP_DB / 2, "the gain goes past the target"


LEVELS = Levels(
    {"ko": 2.0, "en-us": -1.5, "mina": 3.0},
    {"ko-kr": 4.0, "en-us": 1.0, "zh": 0.5, "en-gb": 6.0, "ja-jp": 0.0},
    "ko-kr",
)


@pytest.mark.parametrize(
    ("voice", "language", "gain_db"),
    [
        ("ko", "ko-KR", 2.0),
        ("ko", "en", 2.0),
        ("KO", "ko-KR", 2.0),
        ("ko+f3", "ko-KR", 2.0),
        ("nobody", "ko-KR", 0.0),
        (None, "ko-KR", 4.0),
        (None, "en_US", 1.0),
        (None, "en-GB-oxendict", 6.0),
        (None, "zh-CN", 0.5),
        (None, "ko", 4.0),
        (None, "en", 1.0),  # the first voice with any country, as engines choose
        (None, "en-AU", 1.0),
        (None, "ja", 0.0),  # its voice was not measured: not the gain of the first voice
        (None, "fr", 4.0),  # as the first voice, which speaks it if any does
    ],
)
def test_gain_of_a_sentence(voice: str | None, language: str, gain_db: float) -> None:
    assert LEVELS.gain_db(voice, language) == gain_db
    assert NO_LEVELS.gain_db(voice, language) == 0.0


def test_different_gains_have_different_marks() -> None:
    assert (LEVELS.mark("ko"), LEVELS.mark("en-us"), LEVELS.mark("nobody")) == ("+2.0dB", "-1.5dB", "")
    assert LEVELS.mark(None, "en-US") == "+1.0dB"
    assert (NO_LEVELS.mark("ko"), NO_LEVELS.mark(None), NO_LEVELS.mark(None, "ko")) == ("", "", "")


def test_an_utterance_without_a_voice_is_marked_by_the_gains_of_all_languages() -> None:
    mark = LEVELS.mark(None)
    assert mark == Levels({}, dict(LEVELS.languages), "ko-kr").mark(None), "the gains of named voices have no effect"
    assert mark != Levels({}, {**LEVELS.languages, "zh": 1.0}, "ko-kr").mark(None)
    assert mark != Levels({}, dict(LEVELS.languages), "zh").mark(None)
    swapped = Levels({}, dict(reversed(LEVELS.languages.items())), "ko-kr")
    assert swapped.gain_db(None, "en") != LEVELS.gain_db(None, "en") and swapped.mark(None) != mark
    assert Levels({"ko": 2.0}, {"ko": 0.0}, "ko").mark(None) == ""
