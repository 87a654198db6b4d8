"""The time stretch: length, pitch, and the same output for any split of the audio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synth.audio.tempo import Stretcher

pytestmark = pytest.mark.unit

RATE = 24_000
TONE_HZ = 440.0


def tone(seconds: float) -> bytes:
    samples = np.sin(np.arange(int(seconds * RATE)) * 2 * np.pi * TONE_HZ / RATE) * 8_000
    return samples.astype("<i2").tobytes()


def stretched(pcm: bytes, speed: float, cuts: list[int]) -> bytes:
    stretcher = Stretcher(RATE, speed)
    out, start = b"", 0
    for cut in [*sorted(cuts), len(pcm)]:
        out += stretcher.push(pcm[start:cut])
        start = cut
    return out + stretcher.flush()


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_stretcher_changes_the_length_and_keeps_the_pitch(speed: float) -> None:
    out = np.frombuffer(stretched(tone(2.0), speed, []), "<i2")
    assert len(out) / RATE == pytest.approx(2.0 / speed, abs=0.03)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert np.fft.rfftfreq(len(out), 1 / RATE)[spectrum.argmax()] == pytest.approx(TONE_HZ, abs=5)


@settings(max_examples=40)
@given(speed=st.sampled_from([0.5, 0.7, 1.0, 1.3, 2.0]), cuts=st.lists(st.integers(0, 28_800), max_size=20))
def test_stretcher_output_does_not_depend_on_the_split_of_the_input(speed: float, cuts: list[int]) -> None:
    pcm = tone(0.6)
    assert stretched(pcm, speed, cuts) == stretched(pcm, speed, [])


def test_stretcher_returns_output_before_the_end_of_the_input() -> None:
    stretcher = Stretcher(RATE, 1.5)
    assert stretcher.push(tone(0.4)), "there is no output before the end of the input"


def test_stretcher_returns_nothing_for_no_input() -> None:
    assert stretched(b"", 0.5, []) == b""


def test_stretcher_refuses_an_invalid_speed_and_half_a_sample() -> None:
    with pytest.raises(ValueError, match="speed is 3; it must be from 0.5 to 2.0"):
        Stretcher(RATE, 3.0)
    stretcher = Stretcher(RATE, 2.0)
    stretcher.push(b"\0")
    with pytest.raises(ValueError, match="ends inside a sample"):
        stretcher.flush()
