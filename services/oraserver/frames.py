"""Parses and checks single frames and POST bodies of protocol v1. Pure, no I/O.

`parse` returns the frame if it can be used, and every rule that it breaks. It is lenient on purpose: a chunk with a
wrong key is still a chunk. Otherwise one mistake would be reported a second time, as a gap.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pybase64
from pydantic_core import from_json

from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest
from services.oraserver.wav import has_true_sizes

Rule = Literal[
    "header-missing",  # the handshake has phone-id and session-id
    "header-mismatch",  # these headers are the ids of `init`
    "not-json",  # a frame is one JSON object in UTF-8
    "binary-frame",  # all frames are text
    "unknown-frame",  # a frame is init, chunk or complete
    "frame-keys",  # a frame has exactly the keys of its kind
    "init-first",  # no frame comes before `init`
    "init-once",  # a connection has one `init`
    "init-ids",  # ids are 1…256 bytes without control characters
    "metadata-keys",  # metadata has exactly the six keys
    "metadata-value",  # its values are strings and not empty, and its ids are valid
    "metadata-changed",  # its values are the same in every frame of an utterance, except `text`
    "texts",  # the text of `complete` contains the texts of the chunks in order
    "session-mismatch",  # session and phone of an utterance are those of `init`
    "transport-changed",  # an utterance comes over WebSocket only, or over HTTP only
    "file-name",  # a file name is <request token>.<ext>
    "base64",  # audio is in padded standard base64
    "empty-audio",  # every chunk has audio
    "chunk-index",  # an index is an integer from 0
    "is-first",  # isFirst is true on index 0 and false on all others
    "gap",  # a new chunk's index is the number of chunks received before
    "repeat-differs",  # a repeat has the same bytes
    "chunk-after-complete",  # no new chunk comes after `complete`
    "total-chunks",  # totalChunks is the number of chunks sent
    "interleaved",  # the utterances of a session and phone come one after the other
    "wav-sizes",  # the header of a POSTed WAV has its true sizes
]
"""The rules of the protocol. The comment beside each name says what the rule requires."""

# A file with any other extension is stored as .bin.
EXTENSIONS = frozenset({"wav", "pcm", "opus", "ogg", "flac", "mulaw", "mp3", "aac"})

_INIT_KEYS = frozenset({"type", "session_id", "phone_id"})
_POST_KEYS = frozenset({"audioDataBase64", "fileName", "metadata"})
_CHUNK_KEYS = _POST_KEYS | {"chunkIndex", "isFirst"}
_COMPLETE_KEYS = frozenset({"status", "totalChunks", "metadata"})
_METADATA_NAMES = ("sessionId", "requestId", "phoneId", "text", "engine", "language")
_METADATA_KEYS = frozenset(_METADATA_NAMES)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of the protocol. `detail` says how it was broken, and never contains the spoken text."""

    rule: Rule
    detail: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The six values that every frame of an utterance carries."""

    session_id: str
    request_id: str
    phone_id: str
    text: str
    engine: str
    language: str


@dataclass(frozen=True, slots=True)
class Init:
    """The first frame of a connection. An id that is not valid is replaced by an empty string."""

    session_id: str
    phone_id: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of the audio file; `index` counts from 0."""

    metadata: Metadata
    file_name: str
    index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class CompleteFrame:
    """All chunks of the utterance have been sent."""

    metadata: Metadata
    total_chunks: int


@dataclass(frozen=True, slots=True)
class Post:
    """A whole file, sent over HTTP."""

    metadata: Metadata
    file_name: str
    audio: bytes


Problems = list[Violation]


def parse(payload: bytes) -> tuple[Init | Chunk | CompleteFrame | None, Problems]:
    """Parse a WebSocket text frame; returns it (None if it cannot be used) and the rules that it breaks."""
    problems: Problems = []
    frame = _object(payload, problems)
    if frame is None:
        return None, problems
    if "audioDataBase64" in frame:
        return _chunk(frame, problems), problems
    if "status" in frame:
        return _complete(frame, problems), problems
    if frame.get("type") == "init":
        return _init(frame, problems), problems
    problems.append(Violation("unknown-frame", f"keys {_names(frame.keys())}: neither init, chunk nor complete"))
    return None, problems


def parse_post(payload: bytes) -> tuple[Post | None, Problems]:
    """Parse the body of a POST; returns it (None if it cannot be used) and the rules that it breaks."""
    problems: Problems = []
    body = _object(payload, problems)
    if body is None:
        return None, problems
    _keys(body, _POST_KEYS, "body", problems)
    metadata = _metadata(body.get("metadata"), problems)
    audio = _audio(body.get("audioDataBase64"), problems)
    if metadata is None or audio is None:
        return None, problems
    name = _file_name(body.get("fileName"), metadata, problems)
    if extension(name) == "wav" and not has_true_sizes(audio):
        problems.append(Violation("wav-sizes", "the RIFF and data sizes in the header are not those of the file"))
    return Post(metadata, name, audio), problems


def extension(file_name: str) -> str:
    """The extension with which a file of that name is stored: one of EXTENSIONS, else `bin`."""
    ext = file_name.rpartition(".")[2]
    return ext if ext in EXTENSIONS else "bin"


def _object(payload: bytes, problems: Problems) -> dict[str, object] | None:
    try:
        value = from_json(payload, allow_inf_nan=False)  # 9 µs for 32 KiB of audio; json.loads takes 120 µs
    except ValueError as exc:
        problems.append(Violation("not-json", str(exc)))
        return None
    if isinstance(value, dict):
        return value
    problems.append(Violation("not-json", f"a JSON {type(value).__name__}, not an object"))
    return None


def _init(frame: dict[str, object], problems: Problems) -> Init:
    _keys(frame, _INIT_KEYS, "init", problems)
    ids = []
    for name in ("session_id", "phone_id"):
        value = frame.get(name)
        problem = _id_problem(value, name) if isinstance(value, str) else f"{name}: must be a string"
        if problem:
            problems.append(Violation("init-ids", problem))
        ids.append(value if isinstance(value, str) and not problem else "")
    return Init(*ids)


def _chunk(frame: dict[str, object], problems: Problems) -> Chunk | None:
    _keys(frame, _CHUNK_KEYS, "chunk", problems)
    metadata = _metadata(frame.get("metadata"), problems)
    audio = _audio(frame.get("audioDataBase64"), problems)
    index = _count(frame.get("chunkIndex"))
    if index is None:
        problems.append(Violation("chunk-index", "chunkIndex must be an integer from 0"))
    elif frame.get("isFirst") is not (index == 0):
        problems.append(Violation("is-first", f"isFirst must be {str(index == 0).lower()} on chunk {index}"))
    if metadata is None or audio is None or index is None:
        return None
    return Chunk(metadata, _file_name(frame.get("fileName"), metadata, problems), index, audio)


def _complete(frame: dict[str, object], problems: Problems) -> CompleteFrame | None:
    _keys(frame, _COMPLETE_KEYS, "complete", problems)
    if frame["status"] != "complete":
        problems.append(Violation("unknown-frame", "status must be complete"))
        return None
    metadata = _metadata(frame.get("metadata"), problems)
    total = _count(frame.get("totalChunks"))
    if total is None:
        problems.append(Violation("total-chunks", "totalChunks must be an integer from 0"))
    return None if metadata is None or total is None else CompleteFrame(metadata, total)


def _keys(value: dict[str, object], expected: frozenset[str], what: str, problems: Problems) -> None:
    if value.keys() != expected:
        problems.append(Violation("frame-keys", f"{what}: {_difference(value.keys(), expected)}"))


def _metadata(value: object, problems: Problems) -> Metadata | None:
    """The metadata, or None when an id in it is not valid."""
    if not isinstance(value, dict):
        problems.append(Violation("metadata-keys", "metadata must be an object"))
        return None
    if value.keys() != _METADATA_KEYS:
        problems.append(Violation("metadata-keys", f"metadata: {_difference(value.keys(), _METADATA_KEYS)}"))
    values = []
    for name in _METADATA_NAMES:
        item = value.get(name)
        if not isinstance(item, str):
            if name in value:
                problems.append(Violation("metadata-value", f"{name}: must be a string"))
            item = ""
        values.append(item)
    metadata, found = _checked(*values)
    problems.extend(found)
    return metadata


@lru_cache(maxsize=1024)  # most chunks of an utterance have the same six values
def _checked(*values: str) -> tuple[Metadata | None, tuple[Violation, ...]]:
    metadata = Metadata(*values)
    problems: Problems = []
    for name, value in zip(_METADATA_NAMES[:3], values[:3], strict=True):
        if problem := _id_problem(value, name):
            problems.append(Violation("metadata-value", problem))
    usable = not problems
    problems += [
        Violation("metadata-value", f"{name}: is empty")
        for name, value in zip(_METADATA_NAMES[3:], values[3:], strict=True)
        if not value
    ]
    return metadata if usable else None, tuple(problems)


def _audio(value: object, problems: Problems) -> bytes | None:
    if not isinstance(value, str):
        problems.append(Violation("base64", "audioDataBase64 must be a string"))
        return None
    try:
        audio: bytes = pybase64.b64decode(value, validate=True)
    except ValueError:
        problems.append(Violation("base64", f"the {len(value)} characters are not padded standard base64"))
        return None
    if not audio:
        problems.append(Violation("empty-audio", "audioDataBase64 holds no audio"))
        return None
    return audio


def _file_name(value: object, metadata: Metadata, problems: Problems) -> str:
    name = value if isinstance(value, str) else ""
    stem, _, ext = name.rpartition(".")
    if ext not in EXTENSIONS or stem != subjects.token(metadata.request_id):
        problems.append(Violation("file-name", f"{name[:80]!r} is not <request token>.<ext>"))
    return name


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None  # isinstance would accept booleans


@lru_cache(maxsize=1024)
def _id_problem(value: str, name: str) -> str | None:
    try:
        subjects.check_id(value, name)
    except InvalidRequest as exc:
        return str(exc)
    return None


def _difference(got: Set[str], expected: frozenset[str]) -> str:
    parts = [("lacks ", expected - got), ("has also ", got - expected)]
    return ", ".join(word + _names(names) for word, names in parts if names)


def _names(names: Set[str]) -> str:
    """Some of the names, shortened, because a sender may use keys of any number and length."""
    shown = sorted(names)
    return " ".join(name[:40] for name in shown[:8]) + (" …" if len(shown) > 8 else "") or "none"
