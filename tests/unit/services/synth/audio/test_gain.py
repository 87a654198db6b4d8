"""A gain changes each sample alone, exactly, and saturates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.audio.gain import amplified

pytestmark = pytest.mark.unit

GAINS = st.integers(-60, 40).map(lambda steps: steps / 2)
SAMPLES = st.lists(st.integers(-32768, 32767), max_size=200).map(lambda s: np.array(s, dtype="<i2").tobytes())


@given(SAMPLES, GAINS)
def test_each_sample_is_multiplied_and_saturates(pcm: bytes, gain_db: float) -> None:
    before = np.frombuffer(pcm, dtype="<i2").astype(float)
    after = np.frombuffer(amplified(pcm, gain_db), dtype="<i2").astype(float)
    exact = np.clip(before * 10 ** (gain_db / 20), -32768, 32767)
    assert len(after) == len(before)
    assert np.all(abs(after - exact) <= 1.0)
    assert np.all((after >= 0) | (before <= 0)), "a sample has wrapped around"


@given(SAMPLES, GAINS, st.integers(0, 200))
def test_the_cut_into_pieces_changes_nothing(pcm: bytes, gain_db: float, at: int) -> None:
    assert amplified(pcm[: 2 * at], gain_db) + amplified(pcm[2 * at :], gain_db) == amplified(pcm, gain_db)


def test_no_gain_changes_nothing() -> None:
    assert amplified(b"\x01\x80\xff\x7f", 0.0) == b"\x01\x80\xff\x7f"


def test_the_loudest_samples_stay_the_loudest() -> None:
    assert np.frombuffer(amplified(b"\x00\x80\xff\x7f\x01\x00", 20.0), "<i2").tolist() == [-32768, 32767, 10]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError):
        amplified(b"\1\2\3", 6.0)
