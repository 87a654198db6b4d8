"""The loudness of known signals (EBU Tech 3341), and of what has none."""

from __future__ import annotations

import numpy as np
import pytest

from services.synth.audio.loudness import loudness_of

pytestmark = pytest.mark.unit


def sine(peak_dbfs: float, seconds: float, rate_hz: int, hz: float = 997.0) -> bytes:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    samples = np.rint(32767 * 10 ** (peak_dbfs / 20) * np.sin(2 * np.pi * hz * t))
    return bytes(samples.astype("<i2").tobytes())


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("peak_dbfs", [-33.0, -20.0, -3.0])
def test_a_sine_has_the_loudness_of_the_standard(rate_hz: int, peak_dbfs: float) -> None:
    """A sine of 997 Hz in one channel is 3.01 dB below its peak (BS.1770: 0 dBFS reads -3.01)."""
    found = loudness_of(sine(peak_dbfs, 3, rate_hz), rate_hz)
    assert found is not None
    assert found.lufs == pytest.approx(peak_dbfs - 3.01, abs=0.15)
    assert found.peak_dbfs == pytest.approx(peak_dbfs, abs=0.3)  # the sine begins suddenly


def test_silence_around_the_speech_does_not_count() -> None:
    speech, silence = sine(-20, 3, 24_000), bytes(2 * 24_000 * 5)
    alone, padded = loudness_of(speech, 24_000), loudness_of(silence + speech + silence, 24_000)
    assert alone is not None and padded is not None
    # The blocks of 0.4 s at both ends are partly silent.
    assert padded.lufs == pytest.approx(alone.lufs, abs=0.5)


@pytest.mark.parametrize(
    "pcm", [b"", b"\1", bytes(2 * 24_000), sine(-20, 0.2, 24_000), sine(-85, 3, 24_000)], ids=lambda pcm: str(len(pcm))
)
def test_silence_and_shreds_have_no_loudness(pcm: bytes) -> None:
    assert loudness_of(pcm, 24_000) is None
