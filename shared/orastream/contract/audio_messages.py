"""Audio messages on `tts.audio.<session>.<request>`: msgpack maps with snake_case names. Pure.

`attempt` in a message is the stream sequence of the `start` that it belongs to. Dataclasses with slots, not pydantic
models: each chunk passes through here, several times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgpack

from orastream.contract.audio import PcmSpec
from orastream.contract.errors import RETRYABLE, Code, Undecodable
from orastream.contract.sentence_start import SentenceStart, starts_of
from orastream.contract.word_time import WordTime, words_of

EndStatus = Literal["complete", "failed", "cancelled"]

MAX_SECONDS = 2**32
"""Bound for the seconds in a message: as milliseconds they are an integer that every reader can have."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AudioStart:
    """Begins an attempt: format, sample rate and engine of its chunks."""

    request_seq: int
    format: str
    sample_rate_hz: int
    channels: int
    engine: str
    language: str
    engine_version: str | None = None
    """Another version may make other samples of the same text. None: from a synth that does not send it yet."""
    text: str | None = None
    """The request's text, for a later delivery of this audio (`redeliverOf`). None if it comes in pieces, or from a
    synth that does not send it yet."""

    @property
    def spec(self) -> PcmSpec:
        """Rate and channels of the samples."""
        return PcmSpec(self.sample_rate_hz, self.channels)

    def pack(self) -> bytes:
        """Encode the message."""
        fields: dict[str, object] = {
            "type": "start",
            "request_seq": self.request_seq,
            "format": self.format,
            "sample_rate_hz": self.sample_rate_hz,
            "channels": self.channels,
            "engine": self.engine,
            "language": self.language,
        }
        optional = {"engine_version": self.engine_version, "text": self.text}
        return _packb(fields | {name: value for name, value in optional.items() if value is not None})


@dataclass(slots=True)  # not frozen, which would double the cost of each object
class AudioChunk:
    """A part of the audio file: `index` and `sentence` count from 0, `pts_ms` is the time of its first sample.

    `text` is the text of its sentence, only for requests whose text comes in pieces.
    """

    attempt: int
    index: int
    pts_ms: int
    sentence: int
    audio: bytes
    text: str | None = None
    offset: int | None = None
    """Bytes of the file before it, over all attempts. None: from a synth that does not send it yet."""
    sentences: tuple[SentenceStart, ...] = ()
    """The sentences that begin in it, in order. Empty from a synth that does not send them yet."""
    words: tuple[WordTime, ...] = ()
    """The words that end in it, in order. Empty if the engine does not know them, and from a synth that does not send
    them yet."""

    def pack(self) -> bytes:
        """Encode the message."""
        fields: dict[str, object] = {
            "type": "chunk",
            "attempt": self.attempt,
            "index": self.index,
            "pts_ms": self.pts_ms,
            "sentence": self.sentence,
            "audio": self.audio,
        }
        if self.text is not None:
            fields["text"] = self.text
        if self.offset is not None:
            fields["offset"] = self.offset
        if self.sentences:
            fields["sentences"] = [start.fields() for start in self.sentences]
        if self.words:
            fields["words"] = self.words
        return _packb(fields)


@dataclass(frozen=True, slots=True)
class AudioWaiting:
    """Synth is alive and waits: for more of a streamed text, or because the listener has enough for now. No audio."""

    attempt: int

    def pack(self) -> bytes:
        """Encode the message."""
        return _packb({"type": "waiting", "attempt": self.attempt})


@dataclass(frozen=True, slots=True)
class EndError:
    """Why a request failed: a code, as in reports, and a message that never contains the spoken text."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class AudioEnd:
    """Ends the audio of a request. Totals count the whole request, over all attempts."""

    attempt: int
    status: EndStatus
    total_chunks: int
    total_bytes: int
    audio_seconds: float
    error: EndError | None = None
    rtf: float | None = None
    """Seconds of synthesis for one second of speech, of the attempt that wrote this end."""
    text: str | None = None
    """The whole spoken text, if it came in pieces."""

    def pack(self) -> bytes:
        """Encode the message."""
        fields: dict[str, object] = {
            "type": "end",
            "attempt": self.attempt,
            "status": self.status,
            "total_chunks": self.total_chunks,
            "total_bytes": self.total_bytes,
            "audio_seconds": self.audio_seconds,
            "error": None if self.error is None else {"code": self.error.code, "message": self.error.message},
            "rtf": self.rtf,
        }
        return _packb(fields if self.text is None else fields | {"text": self.text})


AudioMessage = AudioStart | AudioChunk | AudioWaiting | AudioEnd


def _packb(value: dict[str, object]) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(payload: bytes) -> AudioMessage:
    """Decode an audio message and check the type of every field. Raises Undecodable."""
    try:
        value: dict[str, Any] = msgpack.unpackb(payload)
        kind = value["type"]
        if kind == "chunk":
            attempt, index, pts_ms = value["attempt"], value["index"], value["pts_ms"]
            sentence, audio, text = value["sentence"], value["audio"], value.get("text")
            offset, starts, words = value.get("offset"), value.get("sentences"), value.get("words")
            # Inline: calls of `_count` would add a tenth to the cost of delivering a chunk.
            if (
                type(attempt) is not int
                or type(index) is not int
                or type(pts_ms) is not int
                or type(sentence) is not int
                or type(audio) is not bytes
                or (text is not None and type(text) is not str)
                or (offset is not None and (type(offset) is not int or offset < 0))
                or attempt < 0
                or index < 0
                or pts_ms < 0
                or sentence < 0
            ):
                raise TypeError
            if starts is None and words is None:
                return AudioChunk(attempt, index, pts_ms, sentence, audio, text, offset)
            begun = () if starts is None else starts_of(starts)
            ended = () if words is None else words_of(words)
            return AudioChunk(attempt, index, pts_ms, sentence, audio, text, offset, begun, ended)
        if kind == "start":
            return AudioStart(
                _count(value["request_seq"]),
                _typed(value["format"], str),
                _count(value["sample_rate_hz"], least=1),
                _count(value["channels"], least=1),
                _typed(value["engine"], str),
                _typed(value["language"], str),
                _optional_text(value.get("engine_version")),
                _optional_text(value.get("text")),
            )
        if kind == "end":
            return AudioEnd(
                _count(value["attempt"]),
                _end_status(value["status"]),
                _count(value["total_chunks"]),
                _count(value["total_bytes"]),
                _seconds(value["audio_seconds"]),
                _end_error(value.get("error")),
                _rtf(value.get("rtf")),
                _optional_text(value.get("text")),
            )
        if kind == "waiting":
            return AudioWaiting(_count(value["attempt"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, msgpack.UnpackException):
        raise Undecodable("is not an audio message") from None
    raise Undecodable("is an audio message of unknown type")


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _count(value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise TypeError
    return value


def _end_status(value: Any) -> EndStatus:
    if value != "complete" and value != "failed" and value != "cancelled":
        raise ValueError
    status: EndStatus = value
    return status


def _rtf(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _optional_text(value: Any) -> str | None:
    return None if value is None else _typed(value, str)


def _end_error(value: Any) -> EndError | None:
    if value is None:
        return None
    code: Code = value["code"]
    if code not in RETRYABLE:  # from a newer node: the request failed all the same
        code = "internal"
    return EndError(code, _typed(value["message"], str))


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= MAX_SECONDS:
        raise TypeError
    seconds: float = value
    return seconds
