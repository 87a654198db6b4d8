"""Ogg/Opus, FLAC, MP3 and AAC with FFmpeg's libraries (package av).

Ogg pages are 20 ms long. FFmpeg's default is 1 s, and no byte would come before the first page is full. `bitexact`
leaves random serial numbers and the library's version out, so that the same samples give the same bytes everywhere.

The tags are in the header: Vorbis comments in Ogg/Opus (OpusTags, RFC 7845) and FLAC (RFC 9639), an ID3v2.4 tag before
the first frame of MP3. FFmpeg's FLAC header would have 8 KiB of room for other tags, which nobody writes into a stream.
ADTS has no header of its own, and gets no tags: a reader may begin at any frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import av
import numpy as np


@dataclass(frozen=True, slots=True)
class _Kind:
    container: str
    codec: str
    bits_per_second: int | None = None
    muxing: dict[str, str] = field(default_factory=dict)
    coding: dict[str, str] = field(default_factory=dict)


_KINDS = {
    "opus": _Kind("ogg", "libopus", 32_000, {"page_duration": "20000"}, {"application": "audio"}),
    "flac": _Kind("flac", "flac", muxing={"metadata_header_padding": "0"}),
    "mp3": _Kind("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "4"}),
    "aac": _Kind("adts", "aac", 64_000),
}
_BIT_EXACT = {"flags": "+bitexact"}


class _Sink:
    """Buffer that the muxer writes to. It is not seekable, so that the muxer never goes back to rewrite a header."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


class FfmpegEncoder:
    """Encodes one file. For one thread at a time."""

    def __init__(self, fmt: str, rate_hz: int, tags: Mapping[str, str]) -> None:
        kind = _KINDS[fmt]
        self._rate_hz = rate_hz
        self._sink = _Sink()
        self._samples = 0
        self._container = av.open(
            self._sink, "w", format=kind.container, options={"fflags": "+bitexact", **kind.muxing}
        )
        self._container.metadata.update(tags)
        stream = self._container.add_stream(kind.codec, rate=rate_hz, options={**_BIT_EXACT, **kind.coding})
        assert isinstance(stream, av.AudioStream), "an audio codec gives an audio stream"
        stream.layout = "mono"
        if kind.bits_per_second is not None:
            stream.bit_rate = kind.bits_per_second
        self._stream = stream

    def push(self, pcm: bytes) -> bytes:
        """See Encoder."""
        if pcm:
            samples = np.frombuffer(pcm, dtype="<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = self._rate_hz
            frame.pts = self._samples
            self._samples += samples.shape[1]
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        """See Encoder."""
        if self._samples:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()


def encoder(fmt: str, rate_hz: int, tags: Mapping[str, str]) -> FfmpegEncoder:
    """Returns a new encoder; `tags` are in the header of the file."""
    return FfmpegEncoder(fmt, rate_hz, tags)
