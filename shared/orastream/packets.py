"""Audio messages on `tts.audio.<session>.<request>`: msgpack maps, snake_case. This is the hot path: plain slots.

`attempt` of a chunk or end is the stream sequence of the `start` it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgpack

from orastream.audio import PcmSpec
from orastream.errors import Undecodable

EndStatus = Literal["complete", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class AudioStart:
    """Opens an attempt: what the bytes of its chunks are."""

    request_seq: int
    format: str
    sample_rate_hz: int
    channels: int
    engine: str
    language: str

    @property
    def spec(self) -> PcmSpec:
        """Rate and channels of the samples."""
        return PcmSpec(self.sample_rate_hz, self.channels)

    def pack(self) -> bytes:
        """The message on the wire."""
        return _packb(
            {
                "type": "start",
                "request_seq": self.request_seq,
                "format": self.format,
                "sample_rate_hz": self.sample_rate_hz,
                "channels": self.channels,
                "engine": self.engine,
                "language": self.language,
            }
        )


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of the file: `index` from 0, `pts_ms` of its first sample, `sentence` number from 0, encoded bytes."""

    attempt: int
    index: int
    pts_ms: int
    sentence: int
    audio: bytes

    def pack(self) -> bytes:
        """The message on the wire."""
        return _packb(
            {
                "type": "chunk",
                "attempt": self.attempt,
                "index": self.index,
                "pts_ms": self.pts_ms,
                "sentence": self.sentence,
                "audio": self.audio,
            }
        )


@dataclass(frozen=True, slots=True)
class AudioEnd:
    """Closes an utterance; totals are of the whole utterance, all attempts together."""

    attempt: int
    status: EndStatus
    total_chunks: int
    total_bytes: int
    audio_seconds: float
    error: str | None = None

    def pack(self) -> bytes:
        """The message on the wire."""
        return _packb(
            {
                "type": "end",
                "attempt": self.attempt,
                "status": self.status,
                "total_chunks": self.total_chunks,
                "total_bytes": self.total_bytes,
                "audio_seconds": self.audio_seconds,
                "error": self.error,
            }
        )


AudioMessage = AudioStart | AudioChunk | AudioEnd


def _packb(value: dict[str, object]) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(payload: bytes) -> AudioMessage:
    """An audio message from the wire. Raises Undecodable for anything else."""
    try:
        value: dict[str, Any] = msgpack.unpackb(payload)
        kind = value["type"]
        if kind == "chunk":
            return AudioChunk(value["attempt"], value["index"], value["pts_ms"], value["sentence"], value["audio"])
        if kind == "start":
            return AudioStart(
                value["request_seq"],
                value["format"],
                value["sample_rate_hz"],
                value["channels"],
                value["engine"],
                value["language"],
            )
        if kind == "end":
            return AudioEnd(
                value["attempt"],
                value["status"],
                value["total_chunks"],
                value["total_bytes"],
                value["audio_seconds"],
                value.get("error"),
            )
    except (ValueError, KeyError, TypeError, AttributeError, msgpack.UnpackException):
        raise Undecodable("is not an audio message") from None
    raise Undecodable(f"is an audio message of unknown type {kind!r:.40}")
