"""The messages as JSON Schema (2020-12): source of `/openapi.json`; tests compare `docs/asyncapi.yaml` with it. Pure.

They are made from the models of `messages` and `audio_messages`. The checks of validator functions are added here.
JSON Schema cannot express all checks: a letter or digit in a text, the 256 *bytes* of an id, the rates of a format.
"""

from __future__ import annotations

import dataclasses
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from orastream.contract.audio import FORMATS
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, AudioWaiting, EndError
from orastream.contract.codec import Map
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.heard import Heard
from orastream.contract.load import MAX_SLOTS, MAX_WORK_S
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, SpeakRequest
from orastream.contract.pronunciations import MAX_PRONUNCIATIONS, MAX_READING_CHARS, MAX_WORD_CHARS
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.text_pieces import MAX_PIECES
from orastream.contract.word_time import WordTime

REF = "#/components/schemas/{model}"

IDENTIFIER: Map = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
}
_LINE: Map = {"type": "string", "minLength": 1, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"}
PRONUNCIATIONS: Map = {
    "maxProperties": MAX_PRONUNCIATIONS,
    "propertyNames": _LINE | {"maxLength": MAX_WORD_CHARS},
    "additionalProperties": _LINE | {"maxLength": MAX_READING_CHARS},
}
TRUE: Map = {"const": True}
NULL: Map = {"type": "null"}
_REPLY_SUBJECT = r"^(_INBOX|tts\.reply)(\.[!-),-\-/-=?-~+]+)+$"
_CHECKED: dict[str, Map] = {
    "sessionId": IDENTIFIER,
    "phoneId": IDENTIFIER,
    "requestId": IDENTIFIER | {"pattern": r"^(?!seq-\d+$)[^\u0000-\u001f\u007f-\u009f]+$"},
    "redeliverOf": IDENTIFIER,
    "format": {"enum": list(FORMATS)},
    "replyTo": {"maxLength": 512, "pattern": _REPLY_SUBJECT},
    "pronunciations": PRONUNCIATIONS,
}
"""The checks of the validator functions of `SpeakRequest`, by the field's name on the wire."""


def request(max_text_chars: int = DEFAULT_MAX_TEXT_CHARS) -> Map:
    """Return the schema of a request. Fields that are not required may be null, which means absent."""
    schema = _plain(SpeakRequest.model_json_schema(by_alias=True, ref_template=REF))
    schema["properties"]["text"] |= {"maxLength": max_text_chars}
    for name, field in schema["properties"].items():
        field |= _CHECKED.get(name, {})
        if name not in schema["required"]:
            schema["properties"][name] = _nullable(field)
    pieces: Map = {"textStream": TRUE}
    return schema | _none_of(
        {"properties": {"text": _one_of("", None), "textStream": _one_of(False, None), "redeliverOf": NULL}},
        {"required": ["ssml", "textStream"], "properties": {"ssml": TRUE} | pieces},
        {"required": ["redeliverOf", "textStream"], "properties": {"redeliverOf": {"type": "string"}} | pieces},
    )


def text_piece() -> Map:
    """Return the schema of a text piece. Only the last piece may have no text."""
    fields = {
        "index": {"type": "integer", "minimum": 0, "maximum": MAX_PIECES - 1},
        "text": {"type": ["string", "null"]},
        "end": {"type": ["boolean", "null"]},
    }
    rule = _none_of({"properties": {"text": NULL, "end": _one_of(False, None)}})
    return {"type": "object", "properties": fields, "required": ["index"]} | rule


def voices() -> Map:
    """Return the schema of a synth's answer on `tts.voices`."""
    text, rate = {"type": "string"}, {"type": "integer"}
    voice = {"name": text, "language": text, "sampleRate": rate}
    listed = {"type": "object", "properties": voice, "required": list(voice)}
    fields = {"engine": text, "version": text, "voices": {"type": "array", "items": listed}}
    return {"type": "object", "properties": fields, "required": list(fields)}


def load() -> Map:
    """Return the schema of a synth's load on `tts.load`."""
    count = {"type": "integer", "minimum": 0, "maximum": MAX_SLOTS}
    seconds = {"type": "number", "minimum": 0, "maximum": MAX_WORK_S}
    fields = {
        "synth": {"type": "string", "minLength": 1, "maxLength": 256},
        "slots": count,
        "free": count,
        "workSeconds": seconds,
        "meanWorkSeconds": seconds,
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def cancel() -> Map:
    """Return the schema of a cancel, of all requests or of one."""
    return {"type": "object", "properties": {"requestId": _nullable(IDENTIFIER)}}


def report() -> Map:
    """Return the schema of a report. Every field is required."""
    return _complete(Report)


def heard() -> Map:
    """Return the schema of a record of what was heard. Every field is required."""
    return _complete(Heard)


def progress() -> Map:
    """Return the schema of a message of the live progress. Every field is required."""
    return _complete(DeliveryProgress)


def _complete(model: type[BaseModel]) -> Map:
    schema = _plain(model.model_json_schema(by_alias=True, mode="serialization", ref_template=REF))
    for field in schema["properties"].values():
        field.pop("default", None)
    return schema | {"required": list(schema["properties"])}


def report_error() -> Map:
    """Return the schema of the error in a report."""
    definitions: Map = Report.model_json_schema(mode="serialization", ref_template=REF)["$defs"]
    return _plain(definitions["ReportError"])


def audio() -> dict[str, Map]:
    """Return the schemas of the audio messages and of their parts, by name. `bytes` are msgpack's bin."""
    return {
        "AudioStart": _message(AudioStart, {"type": {"const": "start"}, "format": {"enum": list(FORMATS)}}),
        "AudioChunk": _message(AudioChunk, {"type": {"const": "chunk"}, "audio": {"minLength": 1}}),
        "AudioWaiting": _message(AudioWaiting, {"type": {"const": "waiting"}}),
        "AudioEnd": _message(AudioEnd, {"type": {"const": "end"}}),
        "EndError": _message(EndError, {}),
        "SentenceStart": _message(SentenceStart, {}),
    }


_COUNT: Map = {"type": "integer", "minimum": 0}
_WORD: Map = {"type": "array", "items": _COUNT, "minItems": len(WordTime._fields), "maxItems": len(WordTime._fields)}
_TYPE_SCHEMAS: dict[Any, Map] = {
    int: _COUNT,
    float: {"type": "number", "minimum": 0},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    EndError: {"$ref": REF.format(model="EndError")},
    tuple[SentenceStart, ...]: {"type": "array", "items": {"$ref": REF.format(model="SentenceStart")}},
    tuple[WordTime, ...]: {"type": "array", "items": _WORD},
}

_OPTIONAL: dict[type, set[str]] = {
    AudioStart: {"text", "engine_version"},
    AudioChunk: {"text", "offset", "sentences", "words"},
    AudioEnd: {"text"},
    SentenceStart: {"from", "to"},
}
"""Fields that a message leaves out if they are None or empty. Readers also accept null."""
_WIRE_NAMES: dict[type, dict[str, str]] = {SentenceStart: {"first": "from", "end": "to"}}
"""The names on the wire of fields that have another one in Python."""


def _none_of(*combinations: Map) -> Map:
    """Refuse these combinations of fields. Generators of types lose the fields of a schema that has `anyOf` itself."""
    return {"not": {"anyOf": list(combinations)}}


def _one_of(*values: str | bool | None) -> Map:
    return {"enum": list(values)}


def _message(of: type, more: dict[str, Map]) -> Map:
    hints = get_type_hints(of)
    fields: Map = {"type": {"type": "string"}} if "type" in more else {}
    names = _WIRE_NAMES.get(of, {})
    for field in dataclasses.fields(of):
        fields[names.get(field.name, field.name)] = _type_schema(hints[field.name])
    for name, added in more.items():
        fields[name] |= added
    for name in fields.keys() & {"sample_rate_hz", "channels"}:
        fields[name]["minimum"] = 1
    required = [name for name in fields if name not in _OPTIONAL.get(of, set())]
    return {"type": "object", "properties": fields, "required": required}


def _type_schema(hint: Any) -> Map:
    if hint in _TYPE_SCHEMAS:
        return dict(_TYPE_SCHEMAS[hint])
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if len(kinds) < len(get_args(hint)):
        return _nullable(_type_schema(kinds[0]))
    assert get_origin(hint) is Literal, f"no schema of {hint}"
    return {"type": "string", "enum": kinds}


def _plain(schema: Map) -> Map:
    """Remove titles and `$defs`, which pydantic adds, and write `T or null` as one type."""
    fields = {name: _field(dict(field)) for name, field in schema["properties"].items()}
    return {"type": "object", "properties": fields, "required": list(schema["required"])}


def _field(field: Map) -> Map:
    field.pop("title", None)
    if field.get("default", ...) is None:
        del field["default"]
    choices = [choice for choice in field.pop("anyOf", []) if choice != {"type": "null"}]
    if choices:
        (choice,) = choices
        return _nullable({**field, **choice})
    return field


def _nullable(field: Map) -> Map:
    if "$ref" in field:
        return {"oneOf": [{"$ref": field["$ref"]}, {"type": "null"}]}
    kind = field["type"]
    nullable = {**field, "type": [kind, "null"] if isinstance(kind, str) else kind}
    if "enum" in field:
        nullable["enum"] = [*(choice for choice in field["enum"] if choice is not None), None]
    return nullable
