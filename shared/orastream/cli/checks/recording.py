"""Checks whether a WAV file holds speech of a plausible length. Pure."""

from __future__ import annotations

import array
import io
import sys
import wave
from dataclasses import dataclass

from orastream.contract.audio import WAV_HEADER_BYTES

LOUD = 500
"""A sample above this (of 32 767) is loud. Speech often has such samples, rounding noise never."""
WINDOW_S = 0.05
LEAST_LOUD_SHARE = 0.2
SECONDS_PER_CHAR = {"ko": (0.05, 0.45), "en": (0.02, 0.2)}
"""Minimum and maximum seconds of speech per written character, averaged over a text. A Hangul syllable is one."""
ANY_LANGUAGE = (0.02, 0.45)


class BadRecording(Exception):
    """The file is not valid, or not the expected speech; the message says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A mono or stereo WAV file of 16-bit samples."""

    sample_rate_hz: int
    seconds: float
    peak: int
    """The largest sample, of 32 767."""
    loud_share: float
    """Share of the windows of WINDOW_S seconds that have a sample above LOUD, 0 to 1."""


def read_wav(wav: bytes) -> Recording:
    """Read a complete WAV file. Raises BadRecording when the header is wrong or its sizes are not those of the file."""
    try:
        with wave.open(io.BytesIO(wav)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            pcm = file.readframes(frames)
    except (wave.Error, EOFError) as exc:
        raise BadRecording(f"{len(wav)} bytes are not a WAV file: {exc or 'it is cut'}") from exc
    if width != 2 or not rate:
        raise BadRecording(f"samples of {8 * width} bits at {rate} Hz; 16 bits are expected")
    # `wave` accepts a file that is longer or shorter than its header says.
    riff_bytes = int.from_bytes(wav[4:8], "little")
    if riff_bytes != len(wav) - 8 or len(pcm) != frames * 2 * channels or len(pcm) != len(wav) - WAV_HEADER_BYTES:
        raise BadRecording(f"the header's sizes ({riff_bytes}, {frames} frames) are not those of {len(wav)} bytes")
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    window = max(1, int(rate * channels * WINDOW_S))
    peaks = [max(map(abs, samples[at : at + window])) for at in range(0, len(samples), window)]
    loud = sum(peak > LOUD for peak in peaks)
    return Recording(
        sample_rate_hz=rate,
        seconds=frames / rate,
        peak=max(peaks, default=0),
        loud_share=loud / len(peaks) if peaks else 0.0,
    )


def check_speech(recording: Recording, text: str, language: str) -> None:
    """Check that the recording can be that text: of a plausible length and not silent. Raises BadRecording."""
    least, most = SECONDS_PER_CHAR.get(language.partition("-")[0], ANY_LANGUAGE)
    low, high = least * len(text), most * len(text) + 1.0
    if not low <= recording.seconds <= high:
        raise BadRecording(f"{recording.seconds:.2f} s for {len(text)} characters; {low:.1f} to {high:.1f} s expected")
    if recording.loud_share < LEAST_LOUD_SHARE:
        raise BadRecording(f"silent: only {recording.loud_share:.0%} of it is audible (peak {recording.peak})")
