"""docs/asyncapi*.yaml agree with the code: subjects, schemas, examples, frames. A failure names the difference."""

from __future__ import annotations

import base64
import inspect
import itertools
import json
import re
from dataclasses import replace
from typing import Any, Literal

import pytest
import yaml

import orastream
from orastream.client.acceptance import Acceptance
from orastream.client.voices import Voice, encode_answer, merge_answers
from orastream.contract import audio_messages, codec, schemas, subjects
from orastream.contract.audio import FORMATS, wav_header
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, AudioWaiting, EndError
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import RETRYABLE
from orastream.contract.heard import Heard
from orastream.contract.load import SynthLoad
from orastream.contract.messages import Cancel, Report, parse_request
from orastream.contract.names import Names
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.text_pieces import TextPiece
from orastream.contract.word_time import WordTime
from orastream.delivery.post.body import END, Body
from orastream.delivery.sink import Speech, SpeechEnd
from orastream.delivery.websocket.frames import FrameTemplate, end_frame, init_frame
from services.gateway.http.openapi import AcceptanceBody
from services.oraserver import frames
from services.oraserver.metadata import METADATA_KEYS, RATE
from tests.support.asyncapi import NODE, ORASERVER, document, inlined, judging, problems
from tests.support.asyncapi import schemas as documented
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

# ---- subjects

NODES_OWN = {"tts.session.{session}.request", "tts.session.{session}.cancel", "tts.script.{session}.{request}"} | {
    f"tts.put.{kind}.{{session}}.{{request}}" for kind in ("audio", "report", "heard")
}
"""Subjects that only the node publishes and reads: docs/reference/protocol.md, “Subjects” and “Streams”."""


def subjects_of_the_code() -> set[str]:
    """Return each literal subject of `Names`, with the variable parts in braces."""
    found = {value for value in (getattr(NAMES, slot) for slot in Names.__slots__ if slot[0] != "_") if "." in value}
    for name, method in inspect.getmembers(NAMES, inspect.ismethod):
        parameters = list(inspect.signature(method).parameters)
        if name[0] != "_" and parameters and set(parameters) <= {"session", "req"}:
            found.add(method(*("{request}" if name == "req" else "{session}" for name in parameters)))
    return {subject for subject in found if subject.startswith("tts.") and "*" not in subject}


def test_document_has_a_channel_for_every_subject() -> None:
    there = {channel["address"] for channel in document(NODE)["channels"].values()} - {None}
    public = subjects_of_the_code() - NODES_OWN
    assert subjects_of_the_code() >= NODES_OWN, "the search for subjects missed some"
    assert public - there == set(), (
        "docs/asyncapi.yaml lacks these subjects of orastream.contract.names: add a channel (address, parameters, "
        "messages) and an operation for each; or NODES_OWN here, if nobody else uses it"
    )
    assert there - public == set(), "docs/asyncapi.yaml has channels that orastream.contract.names does not have"


def test_document_has_parameters_and_an_operation_for_every_channel() -> None:
    doc = document(NODE)
    used = {
        operation[key]["channel"]["$ref"] if key == "reply" else operation["channel"]["$ref"]
        for operation in doc["operations"].values()
        for key in ("channel", "reply")
        if key in operation
    }
    for name, channel in doc["channels"].items():
        assert set(re.findall(r"{(\w+)}", channel["address"] or "")) == set(channel.get("parameters", {})), name
        assert f"#/channels/{name}" in used, f"no operation uses the channel {name}"


# ---- schemas

EXPECTED: dict[str, Any] = {
    "SpeakRequest": schemas.request(),
    "TextPiece": schemas.text_piece(),
    "Voices": schemas.voices(),
    "Load": schemas.load(),
    "Cancel": schemas.cancel(),
    "Report": schemas.report(),
    "ReportError": schemas.report_error(),
    "Heard": schemas.heard(),
    "Progress": schemas.progress(),
    **schemas.audio(),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_documented_schema_agrees_with_the_code(name: str) -> None:
    """In names, types, required fields, enums and bounds."""
    expected, there = (
        judging(inlined(NODE, schema)) for schema in (EXPECTED[name], documented(NODE).get(name, {"properties": {}}))
    )
    text = yaml.safe_dump(EXPECTED[name], sort_keys=False, allow_unicode=True)
    for field in sorted(expected["properties"].keys() | there["properties"].keys()):
        assert there["properties"].get(field) == expected["properties"].get(field), (
            f"docs/asyncapi.yaml, components.schemas.{name}.properties.{field} is not what the code has; "
            "write there, with a reference for an enum or an object (and say in docs/reference/ what it means):\n"
            f"{EXPECTED[name]['properties'].get(field)}"
        )
    assert there == expected, f"docs/asyncapi.yaml, components.schemas.{name}; the code has:\n{text}"


def test_documented_acceptance_agrees_with_the_gateway() -> None:
    there = judging(documented(NODE)["Acceptance"])
    model = judging(AcceptanceBody.model_json_schema())
    assert there == {key: value for key, value in model.items() if key in there}
    assert problems(NODE, "Acceptance", Acceptance("r1", "s1", 7).to_map()) == []


def test_documents_have_the_version_of_the_package() -> None:
    assert {document(path)["info"]["version"] for path in (NODE, ORASERVER)} == {orastream.__version__}


# ---- examples


def examples(path: Any, message: str) -> list[Any]:
    return [example["payload"] for example in document(path)["components"]["messages"][message].get("examples", [])]


@pytest.mark.parametrize("payload", examples(NODE, "Request"))
def test_parse_request_accepts_the_documented_examples(payload: Any) -> None:
    session = subjects.token(payload["sessionId"])
    for encoding in ("json", "msgpack"):
        data = codec.encode(payload, encoding)  # type: ignore[arg-type]
        assert parse_request(codec.decode(data), session=session).to_map() == payload


@pytest.mark.parametrize("payload", examples(NODE, "Cancel"))
def test_cancel_decodes_the_documented_examples(payload: Any) -> None:
    assert Cancel.decode(codec.encode(payload, "json")) == Cancel(payload.get("requestId"))


@pytest.mark.parametrize("payload", examples(NODE, "Report") + examples(NODE, "FinalReport"))
def test_report_decodes_the_documented_examples(payload: Any) -> None:
    assert Report.decode(codec.encode(payload, "json")).to_map() == payload


@pytest.mark.parametrize("payload", examples(NODE, "Heard"))
def test_heard_decodes_the_documented_examples(payload: Any) -> None:
    assert Heard.decode(codec.encode(payload, "json")).to_map() == payload


@pytest.mark.parametrize("payload", examples(NODE, "Progress"))
def test_progress_decodes_the_documented_examples(payload: Any) -> None:
    assert DeliveryProgress.decode(codec.encode(payload, "json")).to_map() == payload


@pytest.mark.parametrize(
    "payload", examples(NODE, "AudioStart") + examples(NODE, "AudioWaiting") + examples(NODE, "AudioEnd")
)
def test_unpack_accepts_the_documented_audio_messages(payload: Any) -> None:
    packed = codec.encode(payload, "msgpack")
    assert codec.decode(audio_messages.unpack(packed).pack()) == payload


def test_every_example_matches_its_schema() -> None:
    seen = 0
    for path in (NODE, ORASERVER):
        for name, message in document(path)["components"]["messages"].items():
            schema = message.get("payload", {}).get("$ref", "").rpartition("/")[2]
            for payload in examples(path, name):
                assert problems(path, schema, payload) == [], name
                seen += 1
    assert seen >= 15


# ---- the document and the code refuse the same messages

BASE = {"text": "안녕하세요", "sessionId": "s1", "phoneId": "p1"}
WRONG = [
    {"text": ""},
    {"text": "", "textStream": False},
    {"text": "<speak>a</speak>", "ssml": True, "textStream": True},
    {"textStream": 1},
    {"idleSeconds": 0.5},
    {"idleSeconds": 61},
    {"text": None},
    {"text": 7},
    {"text": "a" * 5_001},
    {"sessionId": ""},
    {"phoneId": "a\x00b"},
    {"phoneId": "\x85"},
    {"requestId": "seq-12"},
    {"requestId": "x" * 257},
    {"use_websocket": "yes"},
    {"transport": "pigeon"},
    {"fire_and_forget": 1},
    {"engine": ""},
    {"voice": "v" * 65},
    {"speed": 0.49},
    {"speed": True},
    {"format": "ogg"},
    {"sampleRate": 7_999},
    {"sampleRate": 8_000.5},
    {"ttlSeconds": 0},
    {"replyTo": "tts.session.s1.request"},
    {"replyTo": "_INBOX"},
    {"replyTo": "tts.reply.*"},
    {"replyTo": "tts.reply..a"},
    {"replyTo": "tts.reply.a b"},
    {"redeliverOf": ""},
    {"redeliverOf": 7, "text": None},
    {"redeliverOf": "r0", "textStream": True},
    {"supersede": 1},
    {"pronunciations": ["SQL"]},
    {"pronunciations": {"SQL": 1}},
    {"pronunciations": {"SQL": ""}},
    {"pronunciations": {"": "시퀄"}},
    {"pronunciations": {"S\nQL": "시퀄"}},
    {"pronunciations": {"w" * 101: "시퀄"}},
    {"pronunciations": {"SQL": "r" * 201}},
    {"pronunciations": {f"w{number}": "r" for number in range(201)}},
]
RIGHT = [
    *({name: None} for name in EXPECTED["SpeakRequest"]["properties"] if name not in BASE),
    {"text": "", "textStream": True},
    {"text": None, "textStream": True, "idleSeconds": 60},
    {"text": "<speak>a</speak>", "ssml": True, "textStream": False},
    *({"format": name} for name in FORMATS),
    {"requestId": "~r.1 세션"},
    {"speed": 1},
    {"replyTo": "_INBOX.a"},
    {"replyTo": "tts.reply.a-b/c+d"},
    {"redeliverOf": "r0"},
    {"supersede": True},
    {"pronunciations": {}},
    {"pronunciations": {"SQL": "시퀄", "w" * 100: "r" * 200, "㈜": "주식회사", "Nguyen": "[[w'In]]"}},
    {"pronunciations": {f"w{number}": "r" for number in range(200)}},
    {"text": None, "textStream": True, "supersede": True},
    {"redeliverOf": "seq-7", "text": None},
    {"redeliverOf": "r0", "text": "", "textStream": False},
    {"unknown": [1]},
]


@pytest.mark.parametrize(
    ("change", "right"), [(change, False) for change in WRONG] + [(change, True) for change in RIGHT], ids=repr
)
def test_document_and_code_accept_the_same_requests(change: dict[str, Any], right: bool) -> None:
    value = BASE | change
    by_document = problems(NODE, "SpeakRequest", value) == []
    try:
        parse_request(value)
        by_code = True
    except orastream.InvalidRequest:
        by_code = False
    assert (by_document, by_code) == (right, right)


ABSENT = object()


def test_document_and_code_accept_the_same_combinations_of_fields() -> None:
    """All combinations of the fields that decide where the text comes from."""
    values: dict[str, list[Any]] = {
        "text": [ABSENT, None, "", "<speak>a</speak>"],
        "ssml": [ABSENT, None, False, True],
        "textStream": [ABSENT, None, False, True],
        "redeliverOf": [ABSENT, None, "r0"],
    }
    accepted = 0
    for combination in itertools.product(*values.values()):
        fields = {name: value for name, value in zip(values, combination, strict=True) if value is not ABSENT}
        request = {"sessionId": "s1", "phoneId": "p1"} | fields
        by_document = problems(NODE, "SpeakRequest", request) == []
        try:
            parse_request(request)
            by_code = True
        except orastream.InvalidRequest:
            by_code = False
        assert by_document is by_code, fields
        accepted += by_code
    assert 0 < accepted < 4 * 4 * 4 * 3


@pytest.mark.parametrize(
    "piece",
    [
        {"index": 0, "text": "a"},
        {"index": 0, "text": ""},
        {"index": 65_535, "text": None, "end": True},
        {"index": 1, "end": True, "more": 1},
        {"index": 1},
        {"index": 1, "end": False},
        {"index": 65_536, "text": "a"},
        {"index": -1, "text": "a"},
        {"text": "a"},
        {"index": 0, "text": 1},
        {"index": 0, "text": "a", "end": 1},
    ],
    ids=repr,
)
def test_document_and_code_accept_the_same_pieces(piece: dict[str, Any]) -> None:
    try:
        by_code = TextPiece.decode(codec.encode(piece, "json")) is not None
    except orastream.InvalidRequest:
        by_code = False
    assert (problems(NODE, "TextPiece", piece) == []) is by_code


@pytest.mark.parametrize("payload", examples(NODE, "Load"))
def test_load_decodes_the_documented_examples(payload: Any) -> None:
    load = SynthLoad.decode(codec.encode(payload, "json"))
    assert codec.decode(load.encode()) == payload
    assert problems(NODE, "Load", codec.decode(load.encode())) == []


def test_answer_with_voices_matches_the_document() -> None:
    answer = encode_answer([Voice("ko", "ko-KR", 22_050, "espeak", "1")], engine="espeak", version="1")
    assert problems(NODE, "Voices", codec.decode(answer)) == []
    for payload in examples(NODE, "Voices"):
        (voice,) = merge_answers([codec.encode(payload, "json")])
        assert (voice.name, voice.sample_rate_hz) == ("ko", 22_050)
        for name in payload:
            assert merge_answers([codec.encode({k: v for k, v in payload.items() if k != name}, "json")]) == []


# ---- audio as it is packed


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("AudioStart", AudioStart(1, "wav", 22_050, 1, "espeak", "ko-KR")),
        ("AudioStart", AudioStart(1, "wav", 22_050, 1, "espeak", "ko-KR", "1.52.0.1")),
        ("AudioChunk", AudioChunk(3, 0, 0, 0, b"\xff\x00")),
        ("AudioChunk", AudioChunk(3, 0, 0, 0, b"\xff\x00", "a sentence")),
        ("AudioChunk", AudioChunk(3, 0, 0, 0, b"\xff\x00", None, 44, (SentenceStart(0, 0, "a", 0, 1),) * 2)),
        ("AudioChunk", AudioChunk(3, 0, 0, 0, b"\xff\x00", None, 44, (SentenceStart(0, 0, "a"),))),
        ("AudioChunk", AudioChunk(3, 0, 0, 0, b"\xff\x00", None, 44, (), (WordTime(0, 0, 1, 2, 3),) * 2)),
        ("AudioWaiting", AudioWaiting(3)),
        ("AudioEnd", AudioEnd(3, "complete", 1, 2, 0.1, rtf=0.5, text="all of it")),
        ("AudioEnd", AudioEnd(3, "complete", 1, 2, 0.1, rtf=0.5)),
        ("AudioEnd", AudioEnd(3, "failed", 0, 0, 0.0, EndError("engine_error", "broke off"))),
    ],
)
def test_audio_messages_match_the_document(schema: str, message: audio_messages.AudioMessage) -> None:
    packed = codec.decode(message.pack())
    if "audio" in packed:
        packed["audio"] = base64.b64encode(packed["audio"]).decode()  # JSON Schema has no type for bytes
    assert problems(NODE, schema, packed) == []
    assert problems(NODE, schema, {k: v for k, v in packed.items() if k != "attempt" and k != "request_seq"}) != []


# ---- OraServer

SPEECH = Speech("세션 1", "전화 1", "r.1", subjects.token("r.1"), "안녕하세요.")


@pytest.mark.parametrize("with_rate", [False, True])
@pytest.mark.parametrize("fmt", FORMATS)
def test_frames_of_the_bridges_match_the_document(fmt: str, with_rate: bool) -> None:
    start, speech = AudioStart(1, fmt, 24_000, 1, "espeak", "ko-KR"), replace(SPEECH, with_rate=with_rate)
    template, body = FrameTemplate(speech, start), Body(speech, start)
    body.add(AudioChunk(1, 0, 0, 0, wav_header(start.spec) + b"\1\2" * 50))
    body.finish()
    ends: tuple[Literal["cancelled", "failed"], ...] = ("cancelled", "failed")
    sent = {
        "Init": [init_frame(SPEECH.session_id, SPEECH.phone_id)],
        "Chunk": [b"".join(template.chunk(AudioChunk(1, index, 0, 0, b"\1\2\3"))) for index in (0, 1)],
        "Complete": [template.complete(2)],
        "End": [end_frame(SpeechEnd(speech, start, status)) for status in ends],
        "Post": [b"".join([*body.pieces(), END])],
    }
    for schema, payloads in sent.items():
        for payload in payloads:
            frame = json.loads(payload)
            assert problems(ORASERVER, schema, frame) == []
            assert "metadata" not in frame or frame["metadata"].get("sampleRate") == (24_000 if with_rate else None)


def test_reference_oraserver_accepts_exactly_the_documented_frames() -> None:
    """It accepts the examples. Both refuse a frame with one key more or less."""
    for message in ("Init", "Chunk", "Complete", "End", "Post"):
        parse = frames.parse_post if message == "Post" else frames.parse
        (example,) = examples(ORASERVER, message)
        for value in (example, example | {"more": 1}, *({k: v for k, v in example.items() if k != n} for n in example)):
            found, broken = parse(json.dumps(value).encode())
            right = found is not None and not broken
            assert right is (problems(ORASERVER, message, value) == []), (message, sorted(value), broken)
    assert set(documented(ORASERVER)["Metadata"]["properties"]) == METADATA_KEYS | {RATE}


def test_file_names_of_every_format_match_the_document() -> None:
    for request_id in ("r1", "r.1", "가" * 85, "a" * 128, "a" * 129):
        for fmt in FORMATS:
            start = AudioStart(1, fmt, 24_000, 1, "espeak", "ko-KR")
            speech = Speech("s", "p", request_id, subjects.token(request_id), "x")
            frame = json.loads(b"".join(FrameTemplate(speech, start).chunk(AudioChunk(1, 0, 0, 0, b"x"))))
            assert problems(ORASERVER, "FileName", frame["fileName"]) == []


def test_document_lists_all_error_codes() -> None:
    """Readers take an unknown code as `internal`, but the document must list all codes that are sent."""
    for schema in ("ReportError", "EndError"):
        assert documented(NODE)[schema]["properties"]["code"] == {"$ref": "#/components/schemas/ErrorCode"}
    assert set(documented(NODE)["ErrorCode"]["enum"]) == set(RETRYABLE)
