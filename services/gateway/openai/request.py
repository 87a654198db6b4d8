"""Translates requests of OpenAI's speech API to requests of the node, and audio and errors to OpenAI's form. Pure.

Source: OpenAI API reference, `POST /v1/audio/speech` (fields model, input, voice, response_format, speed, instructions,
stream_format); errors are `{"error": {message, type, param, code}}`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Literal

from orastream.contract import codec
from orastream.contract.audio import FORMATS
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest
from orastream.contract.language import language_of
from orastream.contract.messages import MAX_SPEED, MIN_SPEED
from orastream.contract.surrogates import whole_characters

_OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
_SNAPSHOT = re.compile(r"-[0-9]{4}(-[0-9]{2}-[0-9]{2})?\Z")
"""How OpenAI names the versions of a model: `tts-1-1106`, `gpt-4o-mini-tts-2025-12-15`."""
MODELS = (*_OPENAI_MODELS, "orastream")
"""Models that mean the node's own engine. Any other model is the name of an engine, except as `is_own_engine` says."""
BUILT_IN_VOICES = frozenset(
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar default".split()
)
"""Voices that mean the engine's own voice for the language."""
PCM_RATE_HZ = 24_000
"""The API defines `pcm` as 24 kHz, signed 16 bits, little-endian, mono."""

_FORMATS = {"mp3": "mp3", "opus": "opus", "aac": "aac", "flac": "flac", "wav": "wav", "pcm": "pcm16"}
MEDIA = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_PARAMS = {"text": "input", "format": "response_format", "engine": "model"}
"""The node's names of fields, and OpenAI's names of the same fields."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A request as the node's wire fields (without ids), and the form of the answer."""

    fields: Map
    media_type: str
    stream_format: Literal["audio", "sse"]


def read_speech(body: bytes) -> SpeechRequest:
    """Read the request in a body. Raises InvalidRequest with OpenAI's name of the field."""
    value = codec.decode(body)
    text, model = whole_characters(_required(value, "input")), _required(value, "model")
    name = _string(value, "response_format", "mp3")
    fmt = _FORMATS.get(name)
    if fmt is None or fmt not in FORMATS:
        available = ", ".join(name for name, fmt in _FORMATS.items() if fmt in FORMATS)
        raise InvalidRequest("response_format", f"must be one of {available}")
    stream_format = _string(value, "stream_format", "audio")
    if stream_format not in ("audio", "sse"):
        raise InvalidRequest("stream_format", "must be audio or sse")
    fields: Map = {
        "text": text,
        "format": fmt,
        "language": _string(value, "language", language_of(text)),
        "engine": None if is_own_engine(model) else model,
        "voice": _voice(value),
        "speed": _speed(value),
        "pronunciations": value.get("pronunciations"),
    }
    if name == "pcm":
        fields["sampleRate"] = PCM_RATE_HZ
    return SpeechRequest(fields, MEDIA[name], "sse" if stream_format == "sse" else "audio")


def is_own_engine(model: str) -> bool:
    """Whether `model` means the node's own engine: one of MODELS, or a model of OpenAI with the date of a version."""
    return model in MODELS or _SNAPSHOT.sub("", model) in _OPENAI_MODELS


def _voice(value: Map) -> str | None:
    voice: Any = value.get("voice")
    if isinstance(voice, dict):
        voice = voice.get("id")
    if voice is None:
        return None
    if not isinstance(voice, str):
        raise InvalidRequest("voice", "has the wrong type: must be a string, or an object with an id")
    return None if voice in BUILT_IN_VOICES else voice


def _speed(value: Map) -> float:
    speed = value.get("speed")
    if speed is None:
        return 1.0
    if isinstance(speed, bool) or not isinstance(speed, int | float):
        raise InvalidRequest("speed", "has the wrong type: must be a number")
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise InvalidRequest("speed", f"must be {MIN_SPEED:g} to {MAX_SPEED:g} on this node")
    return float(speed)


def _required(value: Map, name: str) -> str:
    if value.get(name) is None:
        raise InvalidRequest(name, "is required")
    return _string(value, name, "")


def _string(value: Map, name: str, absent: str) -> str:
    """The value, a string that may be empty; `absent` when there is none."""
    given = value.get(name)
    if given is None:
        return absent
    if not isinstance(given, str):
        raise InvalidRequest(name, "has the wrong type: must be a string")
    return given


def delta_event(chunk: AudioChunk, text: str) -> Map:
    """The `speech.audio.delta` event of a chunk of audio of `text`, the input.

    `words`, which OpenAI's API does not have, are the words that end in the chunk; absent if there are none. Several
    can have the same place in the text: those that are spoken for one number.
    """
    event: Map = {"type": "speech.audio.delta", "audio": base64.b64encode(chunk.audio).decode()}
    if not chunk.words:
        return event
    words = [
        {
            "text": text[word.first : word.end],
            "from": word.first,
            "to": word.end,
            "begin_ms": word.begin_ms,
            "end_ms": word.end_ms,
        }
        for word in chunk.words
    ]
    return event | {"words": words}


def in_this_api(message: str) -> str:
    """The message, with OpenAI's name of the field if it begins with one of the node's fields."""
    field, colon, problem = message.partition(": ")
    if not colon or field not in _PARAMS:
        return message
    if field == "engine":
        problem = problem.replace("leave it out", "see /v1/models")  # `model` cannot be left out in this API
    return f"{_PARAMS[field]}: {problem}"


def error_body(status: int, message: str, *, code: str, param: str | None = None) -> Map:
    """An error in OpenAI's form. `message` and `param` may use the node's names of fields."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    name = _PARAMS.get(param, param) if param else None
    return {"error": {"message": in_this_api(message), "type": kind, "param": name, "code": code}}
