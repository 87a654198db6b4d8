"""The way from the last stored sample to silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio import Format
from services.synth.audio.encoder import encoder_of
from services.synth.audio.fade import FADE_MS, SILENT, fade_after

pytestmark = pytest.mark.unit

RATES = st.sampled_from([8_000, 16_000, 22_050, 24_000, 48_000])


def pcm(sample: int) -> bytes:
    return sample.to_bytes(2, "little", signed=True)


@given(st.integers(-32768, 32767), RATES)
def test_the_way_has_small_steps_to_silence(last: int, rate_hz: int) -> None:
    fade = np.frombuffer(fade_after("wav", pcm(last), rate_hz), "<i2").astype(int)
    if abs(last) <= SILENT:
        assert not len(fade)
        return
    assert len(fade) == rate_hz * FADE_MS // 1000
    steps = np.diff([last, *fade, 0])
    assert (steps * np.sign(last) <= 0).all(), "it does not go straight to silence"
    assert abs(steps).max() <= 0.04 * abs(last) + 1
    assert abs(steps[-1]) <= 0.01 * abs(last) + 1, "the end has a corner"


@given(st.integers(-32768, 32767), RATES, st.sampled_from(["mulaw", "alaw"]))
def test_a_coded_sample_fades_as_the_sample_that_it_means(last: int, rate_hz: int, fmt: Format) -> None:
    """Both laws keep a sample to 1/32 of its size."""
    code = encoder_of(fmt, rate_hz).push(pcm(last))
    fade = np.frombuffer(fade_after(fmt, b"?" + code, rate_hz), "<i2").astype(int)
    if abs(last) > 2 * SILENT:
        assert abs(fade[0] - last) <= 0.04 * abs(last) + 40
    assert fade_after(fmt, code, rate_hz) == fade_after(fmt, b"?" + code, rate_hz)


@pytest.mark.parametrize("fmt", ["wav", "pcm16", "mulaw", "alaw"])
def test_a_file_without_a_sample_needs_no_fade(fmt: Format) -> None:
    assert fade_after(fmt, b"", 8_000) == b""
    assert fmt in ("mulaw", "alaw") or fade_after(fmt, b"\x7f", 8_000) == b""
