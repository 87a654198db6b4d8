"""Audio formats, sizes, durations and WAV headers. Pure. PCM samples are signed 16 bits, little-endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, get_args

Format = Literal["wav", "pcm16", "opus", "flac", "mulaw", "alaw", "mp3", "aac"]
FORMATS: tuple[Format, ...] = get_args(Format)
EXTENSIONS: dict[Format, str] = {
    "wav": "wav",
    "pcm16": "pcm",
    "opus": "opus",
    "flac": "flac",
    "mulaw": "mulaw",
    "alaw": "alaw",
    "mp3": "mp3",
    "aac": "aac",
}
RATES_HZ: dict[Format, tuple[int, ...]] = {
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "aac": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}
"""Allowed sample rates of the formats that do not take every rate: Opus (RFC 7845), MP3, AAC (up to 48 kHz)."""
G711_RATE_HZ = 8_000
"""Default rate of mulaw and alaw, as in telephony. A request may set another one."""

BYTES_PER_SAMPLE = 2
SAMPLE_BYTES: dict[str, int] = {"wav": BYTES_PER_SAMPLE, "pcm16": BYTES_PER_SAMPLE, "mulaw": 1, "alaw": 1}
"""Bytes of a sample, of the formats in which every sample has as many. All other formats are compressed."""
WAV_HEADER_BYTES = 44
UNKNOWN_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PcmSpec:
    """Layout of raw PCM: sample rate in Hz, number of interleaved channels; 16 bits a sample."""

    sample_rate_hz: int
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: one sample of each channel."""
        return BYTES_PER_SAMPLE * self.channels

    def seconds(self, pcm_bytes: int) -> float:
        """Return the duration of `pcm_bytes`, in seconds."""
        return pcm_bytes / (self.frame_bytes * self.sample_rate_hz)

    def bytes_for_ms(self, ms: float) -> int:
        """Return the size of the whole frames that fit into `ms` milliseconds, in bytes."""
        return int(self.sample_rate_hz * ms / 1000) * self.frame_bytes


def wav_header(spec: PcmSpec, data_bytes: int | None = None) -> bytes:
    """Return the 44 bytes before PCM16 samples (RIFF/WAVE, fmt chunk of 16 bytes).

    `data_bytes` None means a stream of unknown length: both sizes are 0xFFFFFFFF, as players of live WAV expect.
    """
    data = UNKNOWN_SIZE if data_bytes is None else data_bytes
    riff = UNKNOWN_SIZE if data_bytes is None else min(data_bytes + 36, UNKNOWN_SIZE)
    rate, frame = spec.sample_rate_hz, spec.frame_bytes
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, spec.channels, rate, rate * frame, frame, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)


def header_bytes(fmt: str) -> int:
    """Return the bytes before the first sample in a streamed file: 44 for wav, 0 for pcm16, mulaw and alaw."""
    return WAV_HEADER_BYTES if fmt == "wav" else 0


def seconds_of(fmt: str, spec: PcmSpec, file_bytes: int) -> float | None:
    """Return the duration of a streamed file in seconds, None for coded formats. `file_bytes` includes the header."""
    if (size := SAMPLE_BYTES.get(fmt)) is None:
        return None
    return max(file_bytes - header_bytes(fmt), 0) / (size * spec.channels * spec.sample_rate_hz)


CODED_BYTES_PER_S = 6_000
"""About the bytes of a second of speech in a coded format."""


def bytes_per_second(fmt: str, spec: PcmSpec) -> float:
    """Return how many bytes a second of speech has in a file of this format; a rough figure for coded formats."""
    size = SAMPLE_BYTES.get(fmt)
    return CODED_BYTES_PER_S if size is None else size * spec.channels * spec.sample_rate_hz


def rate_for(fmt: Format, engine_hz: int) -> int:
    """Return the sample rate in Hz if the request sets none: the engine's, or the next higher one of the format."""
    if fmt in ("mulaw", "alaw"):
        return G711_RATE_HZ
    rates = RATES_HZ.get(fmt)
    return engine_hz if rates is None else next((rate for rate in rates if rate >= engine_hz), rates[-1])


def extension_of(fmt: str) -> str:
    """Return the file extension of a format; `bin` for an unknown one."""
    return next((ext for known, ext in EXTENSIONS.items() if known == fmt), "bin")


def with_true_sizes(wav: bytearray) -> bytearray:
    """Write the true sizes into the header of a complete streamed WAV file, in place, and return it.

    Raises ValueError if the bytes do not begin with a header of `wav_header`.
    """
    set_wav_sizes(wav, len(wav))
    return wav


def set_wav_sizes(wav: bytearray, file_bytes: int) -> None:
    """Write the sizes of a WAV file of `file_bytes` bytes, less than 4 GiB, into its first bytes, in place.

    Raises ValueError if they do not begin with a header of `wav_header`.
    """
    if len(wav) < WAV_HEADER_BYTES or wav[:4] != b"RIFF" or wav[36:40] != b"data":
        raise ValueError("not a WAV file as orastream streams it")
    struct.pack_into("<I", wav, 4, file_bytes - 8)
    struct.pack_into("<I", wav, 40, file_bytes - WAV_HEADER_BYTES)
