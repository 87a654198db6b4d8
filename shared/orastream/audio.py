"""PCM and WAV by arithmetic: sizes, durations, headers. Mono or interleaved signed 16-bit little-endian samples."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

Format = Literal["wav", "pcm16"]
FORMATS: tuple[Format, ...] = ("wav", "pcm16")
EXTENSIONS: dict[Format, str] = {"wav": "wav", "pcm16": "pcm"}

BYTES_PER_SAMPLE = 2
WAV_HEADER_BYTES = 44
UNKNOWN_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PcmSpec:
    """What raw samples mean: rate in Hz, interleaved channels, 16 bits each."""

    sample_rate_hz: int
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_SAMPLE * self.channels

    def seconds(self, pcm_bytes: int) -> float:
        """Duration of that many bytes."""
        return pcm_bytes / (self.frame_bytes * self.sample_rate_hz)

    def bytes_for_ms(self, ms: float) -> int:
        """Whole samples that last at most `ms`, in bytes."""
        return int(self.sample_rate_hz * ms / 1000) * self.frame_bytes


def wav_header(spec: PcmSpec, data_bytes: int | None = None) -> bytes:
    """The 44 bytes before PCM16 samples (RIFF/WAVE, fmt chunk of 16 bytes).

    `data_bytes` None is a stream of unknown length: both sizes are 0xFFFFFFFF, as players of live WAV expect.
    """
    data = UNKNOWN_SIZE if data_bytes is None else data_bytes
    riff = UNKNOWN_SIZE if data_bytes is None else min(data_bytes + 36, UNKNOWN_SIZE)
    rate, frame = spec.sample_rate_hz, spec.frame_bytes
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, spec.channels, rate, rate * frame, frame, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)


def header_bytes(fmt: Format) -> int:
    """Bytes before the first sample in a streamed file of that format."""
    return WAV_HEADER_BYTES if fmt == "wav" else 0


def with_true_sizes(wav: bytearray) -> bytearray:
    """The same streamed WAV file, in place, with the true sizes written into its header.

    Raises ValueError when the bytes do not begin with the header that `wav_header` writes.
    """
    if len(wav) < WAV_HEADER_BYTES or wav[:4] != b"RIFF" or wav[36:40] != b"data":
        raise ValueError("not a WAV file as orastream streams it")
    struct.pack_into("<I", wav, 4, len(wav) - 8)
    struct.pack_into("<I", wav, 40, len(wav) - WAV_HEADER_BYTES)
    return wav
