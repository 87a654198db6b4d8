"""The end of audio that was cut in the middle of speech: a short way from its last sample to silence.

An attempt that cannot go on at the exact sample speaks a sentence again, behind what is stored. The stored part may end
at any level, and the step from there to the begin of a sentence is heard as a click. What is stored cannot be changed,
so the new attempt begins with these samples.
"""

from __future__ import annotations

from orastream.contract.audio import BYTES_PER_SAMPLE, Format
from services.synth.audio import encoder

FADE_MS = 5
"""Duration: the step between two samples is below 3 % of the last sample at 8 kHz, which is not heard as a click."""
SILENT = 64
"""Largest sample that needs no fade: -54 dB below full scale."""


def fade_after(fmt: Format, tail: bytes, rate_hz: int) -> bytes:
    """Returns PCM16 little-endian that leads from the end of a file to silence; b"" if it ends silently.

    `tail` are the last two bytes of the file (one, if it has only one). The format is one that can be continued at any
    sample. The first call for a coded format takes about 2 ms. Thread-safe.
    """
    last = _last_sample(fmt, tail)
    if abs(last) <= SILENT:
        return b""
    import numpy as np

    steps = rate_hz * FADE_MS // 1000
    # Half a cosine, so that also the slope has no step at the end; without its first sample, which is stored.
    way = (1 + np.cos(np.pi * np.arange(1, steps + 1) / (steps + 1))) / 2
    faded: bytes = np.rint(last * way).astype("<i2").tobytes()
    return faded


def _last_sample(fmt: Format, tail: bytes) -> int:
    """Returns the last sample of the file; 0 if the tail has none."""
    if encoder.is_plain(fmt):
        whole = tail[-BYTES_PER_SAMPLE:]
        return int.from_bytes(whole, "little", signed=True) if len(whole) == BYTES_PER_SAMPLE else 0
    import numpy as np

    samples = np.arange(-32768, 32768).astype("<i2")  # each sample is coded alone: find those with this code
    codes = np.frombuffer(encoder.encoder_of(fmt, rate_hz=8_000).push(samples.tobytes()), dtype=np.uint8)
    found = samples[codes == tail[-1]] if tail else samples[:0]
    return int(found.mean()) if len(found) else 0
