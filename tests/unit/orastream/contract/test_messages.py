"""Requests, cancels and reports: type and bounds of each field; errors name it and never contain the text."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.errors import RETRYABLE, Code, InvalidRequest, SettingsError, Undecodable
from orastream.contract.messages import (
    FINAL,
    Cancel,
    Report,
    ReportError,
    SpeakRequest,
    Status,
    Transport,
    parse_request,
)

pytestmark = pytest.mark.unit

SECRET = "비밀 secret 4711"
GOOD: dict[str, Any] = {"text": SECRET, "sessionId": "s1", "phoneId": "p1"}

WRONG_TYPE: dict[str, list[Any]] = {
    "text": [1, 1.5, True, b"x", ["a"], {"a": 1}],
    "sessionId": [1, True, b"s1", [], {}],
    "phoneId": [1, 0.5, False, b"p1", ["p1"], {}],
    "requestId": [1, True, b"r", [], {}],
    "use_websocket": ["yes", "true", 1, 0, 1.0, [], {}, b"\x01"],
    "transport": [1, True, "WebSocket", "ws", "", [], {}, b"http"],
    "fire_and_forget": ["no", "false", 0, 1, [], {}],
    "engine": [1, True, [], b"espeak", {}],
    "voice": [1, True, [], {}],
    "language": [1, False, ["ko-KR"], {}],
    "speed": ["1.0", True, False, [1], {}, b"1"],
    "format": [1, True, "ogg", "WAV", "", "OPUS", [], {}],
    "sampleRate": ["24000", True, 24000.5, [], {}],
    "ttlSeconds": ["30", True, [], {}],
    "replyTo": [1, True, [], "tts.request.s1", "_INBOX.>", "", {}],
    "textStream": [1, 0, "true", "yes", [], {}],
    "supersede": [1, 0, "true", "yes", [], {}],
    "idleSeconds": ["10", True, [], {}],
}
OUT_OF_BOUNDS: dict[str, list[Any]] = {
    "text": ["", " ", "\n\t", "😀", "😀😀 🎉", "...!?", "\u200b", "\ud800", "a" * 5001, "가" * 5001],
    "sessionId": ["", "a" * 257, "é" * 129, "a\nb", "\x00", "\ud800", "\x85"],
    "phoneId": ["", "a" * 257, "é" * 129, "a\rb", "\x7f", "\udfff"],
    "requestId": ["", "a" * 257, "a\x01b", "\ud800", "seq-1", "seq-0"],
    "engine": ["", "a" * 65, "\ud800"],
    "voice": ["", "a" * 65, "\udfff"],
    "language": ["", "a" * 65, "\ud800"],
    "speed": [0.49, 2.01, 0, 3, -1, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)],
    "sampleRate": [7999, 48001, 0, -1, 2**63, 2**64, 10**400],
    "ttlSeconds": [0.99, 3600.01, 0, -1, 3601, float("nan"), float("inf"), 10**400],
    "idleSeconds": [0.99, 60.01, 0, -1, float("nan"), float("inf"), 10**400],
    "replyTo": ["_INBOX.a b", "\ud800", "_INBOX." + "a" * 600],
}
ACCEPTED: dict[str, list[Any]] = {
    "text": ["a", "5", "가", "a" * 5000, "가" * 5000, "😀" * 4999 + "a", " a ", "½", "ㅋ", "한 😀", "\x00a", "नमस्ते"],
    "sessionId": ["s1"],
    "phoneId": ["p", "a" * 256, "é" * 128, "전화 1", "a/b.c", "~", "seq-1"],
    "requestId": ["r", "a" * 256, "요청", "seq-", "a.b.>"],
    "use_websocket": [True, False],
    "transport": ["websocket", "http", "none"],
    "fire_and_forget": [True, False],
    "engine": ["espeak", "a" * 64, "엔진"],
    "voice": ["ko"],
    "language": ["en-US", "a" * 64],
    "speed": [0.5, 2.0, 1, 2, 1.25],
    "format": ["wav", "pcm16", "opus", "flac", "mulaw", "alaw", "mp3", "aac"],
    "sampleRate": [8000, 48000, 24000],
    "ttlSeconds": [1, 3600, 1.5, 30.0],
    "replyTo": ["_INBOX.abc.def", "tts.reply.x"],
    "textStream": [True, False],
    "supersede": [True, False],
    "idleSeconds": [1, 60, 2.5],
}


def refusal(changes: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_request({**GOOD, **changes}, session="s1")
    exc = caught.value
    assert exc.code == "invalid_request" and not exc.retryable
    assert SECRET not in str(exc) and "secret" not in str(exc)
    str(exc).encode()  # reports contain it, so it must be valid Unicode
    assert 0 < len(exc.problem) < 200
    return exc


@pytest.mark.parametrize("field", WRONG_TYPE)
def test_parse_request_refuses_values_of_a_wrong_type(field: str) -> None:
    for bad in WRONG_TYPE[field]:
        exc = refusal({field: bad})
        assert exc.field == field
        assert str(exc).startswith(f"{field}: ")


@pytest.mark.parametrize("field", OUT_OF_BOUNDS)
def test_parse_request_refuses_values_out_of_bounds(field: str) -> None:
    for bad in OUT_OF_BOUNDS[field]:
        assert refusal({field: bad}).field == field


@pytest.mark.parametrize("field", ACCEPTED)
def test_parse_request_accepts_valid_values(field: str) -> None:
    for good in ACCEPTED[field]:
        request = parse_request({**GOOD, field: good}, session="s1")
        assert request.to_map()[field] == good
        assert parse_request(request.to_map()) == request


@pytest.mark.parametrize("field", ["text", "sessionId", "phoneId"])
@pytest.mark.parametrize("absent", [True, False])
def test_parse_request_refuses_a_request_without_a_required_field(field: str, absent: bool) -> None:
    value = {k: v for k, v in GOOD.items() if k != field}
    with pytest.raises(InvalidRequest) as caught:
        parse_request(value if absent else {**GOOD, field: None})
    assert caught.value.field == field
    assert caught.value.problem == "is required"


@pytest.mark.parametrize("field", [f for f in ACCEPTED if f not in GOOD])
def test_parse_request_treats_null_as_absent(field: str) -> None:
    assert parse_request({**GOOD, field: None}) == parse_request(GOOD)


def test_parse_request_fills_in_the_defaults() -> None:
    request = parse_request(GOOD)
    assert (request.language, request.speed, request.ttl_seconds) == ("ko-KR", 1.0, 30.0)
    left_open = ("request_id", "use_websocket", "transport", "fire_and_forget", "engine", "voice", "format")
    for name in (*left_open, "sample_rate", "stated_format"):
        assert getattr(request, name) is None
    assert request.reply_to is None and request.stated_transport is None
    assert request.to_map() == GOOD


def test_parse_request_ignores_unknown_fields_with_any_value() -> None:
    odd = {"x": float("nan"), "Text": 1, "session_id": 5, "phone_id": [], "": None, "request_id": "r", "reply_to": 7}
    odd |= {"sample_rate": "x", "ttl_seconds": True, "\ud800": "\ud800"}
    assert parse_request({**GOOD, **odd}) == parse_request(GOOD)


@pytest.mark.parametrize("field", ["sessionId", "phoneId"])
def test_parse_request_accepts_only_wire_names(field: str) -> None:
    snake = {"sessionId": "session_id", "phoneId": "phone_id"}[field]
    value = {snake if k == field else k: v for k, v in GOOD.items()}
    with pytest.raises(InvalidRequest) as caught:
        parse_request(value)
    assert caught.value.field == field
    assert caught.value.problem == f"is required (found {snake}; write {field})"


@pytest.mark.parametrize("key", ["sessionid", "sessionID", "session-id", "SESSION_ID"])
def test_parse_request_names_another_spelling_of_a_required_field(key: str) -> None:
    value = {key if k == "sessionId" else k: v for k, v in GOOD.items()}
    with pytest.raises(InvalidRequest, match=f"^sessionId: is required \\(found {key}; write sessionId\\)$"):
        parse_request(value)
    with pytest.raises(InvalidRequest, match=r"^text: is required \(found text_stream; write textStream\)$"):
        parse_request({"text_stream": True, "sessionId": "s1", "phoneId": "p1"})
    with pytest.raises(InvalidRequest, match="^sessionId: is required$"):
        parse_request({"text": "a", "session" + "_" * 99 + "id": "s1", "\ud800": 1, "phoneId": "p1"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"language": ""}, "language: must have 1 to 64 characters"),
        ({"voice": "x" * 65}, "voice: must have 1 to 64 characters"),
        ({"speed": 3}, "speed: must be 0.5 to 2"),
        ({"ttlSeconds": 0}, "ttlSeconds: must be 1 to 3600"),
        ({"sampleRate": 99_999}, "sampleRate: must be 8000 to 48000"),
        ({"sampleRate": 8000.5}, "sampleRate: has the wrong type: must be a whole number"),
        ({"speed": True}, "speed: has the wrong type: must be a number"),
        ({"ssml": 1}, "ssml: has the wrong type: must be true or false"),
        ({"voice": 1}, "voice: has the wrong type: must be a string"),
        ({"transport": "udp"}, "transport: must be 'websocket', 'http' or 'none'"),
        ({"ttlSeconds": float("nan")}, "ttlSeconds: must be a finite number"),
    ],
)
def test_refusal_says_what_to_send(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_request({**GOOD, **fields})
    assert str(caught.value) == message


def test_speak_request_is_built_with_python_names() -> None:
    request = SpeakRequest(text="a", session_id="s1", phone_id="p1", sample_rate=8000)
    assert request.to_map() == {"text": "a", "sessionId": "s1", "phoneId": "p1", "sampleRate": 8000}


@pytest.mark.parametrize(
    ("fields", "transport"),
    [
        ({}, None),
        ({"use_websocket": True}, "websocket"),
        ({"use_websocket": False}, "http"),
        ({"transport": "none", "use_websocket": True}, "none"),
        ({"transport": "http", "use_websocket": True}, "http"),
        ({"transport": "websocket", "use_websocket": False}, "websocket"),
        ({"transport": None, "use_websocket": False}, "http"),
    ],
)
def test_transport_wins_over_use_websocket(fields: dict[str, Any], transport: Transport | None) -> None:
    assert parse_request({**GOOD, **fields}).stated_transport == transport


@pytest.mark.parametrize("beginning", [{}, {"text": None}, {"text": ""}, {"text": "…"}, {"text": "So "}])
def test_parse_request_accepts_a_streamed_text_without_text(beginning: dict[str, Any]) -> None:
    ids = {name: GOOD[name] for name in ("sessionId", "phoneId")}
    request = parse_request({**ids, **beginning, "textStream": True})
    assert request.text_stream and request.idle_seconds == 10.0
    assert request.text == (beginning.get("text") or "")
    with pytest.raises(InvalidRequest, match="^text: "):
        parse_request({**ids, **beginning, "textStream": True, "text": "aaaa"}, max_text_chars=3)
    if not request.text.strip("… "):
        with pytest.raises(InvalidRequest, match="^text: "):
            parse_request({**ids, **beginning, "textStream": False})


@pytest.mark.parametrize("changes", [{}, {"ssml": True}, {"textStream": True}])
def test_parse_request_makes_whole_characters_of_halves(changes: dict[str, Any]) -> None:
    """A JSON encoder that counts in UTF-16 writes them as escapes; the text is spoken all the same."""
    written = "<speak>a\ud83d\ude00\udfff</speak>" if "ssml" in changes else "a\ud83d\ude00\udfff"
    request = parse_request(codec.decode(json.dumps({**GOOD, **changes, "text": written}).encode()))
    assert request.text == written.replace("\ud83d\ude00", "😀").replace("\udfff", "\ufffd")
    assert parse_request(request.to_map()) == request


def test_parse_request_limits_the_text_to_the_given_length() -> None:
    assert parse_request({**GOOD, "text": "aaa"}, max_text_chars=3)
    with pytest.raises(InvalidRequest, match="^text: has 4 characters, at most 3"):
        parse_request({**GOOD, "text": "aaaa"}, max_text_chars=3)


def test_parse_request_refuses_another_session_than_that_of_the_subject() -> None:
    assert parse_request({**GOOD, "sessionId": "세션"}, session="~7IS47IWY")
    for session in ("s2", "S1", "~czE"):
        with pytest.raises(InvalidRequest) as caught:
            parse_request(GOOD, session=session)
        assert caught.value.field == "sessionId"


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=4)
    | st.binary(max_size=3)
    | st.sampled_from([10**400, "seq-1", "_INBOX.x", "wav", "http", 1.0, 8000]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*ACCEPTED, "session_id", "x"]), ANYTHING, max_size=4))
def test_parse_request_accepts_any_map_or_names_the_wrong_field(changes: dict[str, Any]) -> None:
    try:
        request = parse_request({**GOOD, **changes})
    except InvalidRequest as exc:
        assert exc.field in ACCEPTED
        str(exc).encode()
    else:
        assert parse_request(request.to_map()) == request
        payload = codec.encode(request.to_map(), "json")
        assert parse_request(codec.decode(payload)) == request


# ---- reports

WIRE = [
    "requestId",
    "sessionId",
    "phoneId",
    "requestSeq",
    "epoch",
    "status",
    "transport",
    "totalChunks",
    "deliveredChunks",
    "bytes",
    "audioSeconds",
    "sentSeconds",
    "firstAudioMs",
    "transferMs",
    "rtf",
    "underruns",
    "underrunMs",
    "reconnects",
    "retransmitted",
    "skippedBytes",
    "error",
    "fallback",
    "redeliverOf",
    "caller",
    "characters",
]


def a_report(**changes: Any) -> Report:
    return Report(request_id="r", session_id="s", request_seq=7, status="delivering").with_(**changes)


def test_report_has_exactly_the_wire_names_of_the_contract() -> None:
    error = ReportError.of("engine_error", "m")
    value = a_report(error=error).to_map()
    assert list(value) == WIRE
    assert value["error"] == {"code": "engine_error", "message": "m", "retryable": True}
    assert a_report().to_map()["error"] is None


REPORTS = st.fixed_dictionaries(
    {
        "request_id": st.text(min_size=1, max_size=5),
        "phone_id": st.none() | st.text(max_size=5),
        "request_seq": st.integers(0, 2**63),
        "status": st.sampled_from(get_args(Status)),
        "transport": st.none() | st.sampled_from(get_args(Transport)),
        "total_chunks": st.none() | st.integers(0, 99),
        "bytes": st.integers(0, 2**40),
        "audio_seconds": st.floats(0, 1e6),
        "first_audio_ms": st.none() | st.floats(0, 1e6),
        "error": st.none() | st.builds(ReportError.of, st.sampled_from(get_args(Code)), st.text(max_size=5)),
    }
).map(lambda changes: a_report(**changes))


@settings(max_examples=30)
@given(REPORTS, st.sampled_from(["json", "msgpack"]))
def test_report_is_the_same_after_encoding_and_decoding(report: Report, encoding: codec.Encoding) -> None:
    payload = report.encode(encoding)
    assert codec.encoding_of(payload) == encoding
    assert Report.decode(payload) == report
    assert Report.decode(payload).final == (report.status in FINAL)


def test_final_statuses_and_retryable_codes_are_those_of_the_contract() -> None:
    assert {"delivered", "failed", "cancelled", "expired"} == FINAL
    assert set(RETRYABLE) == set(get_args(Code))
    assert [c for c, again in RETRYABLE.items() if not again] == [
        "invalid_request",
        "oraserver_refused",
        "audio_too_long",
    ]
    for code, again in RETRYABLE.items():
        assert ReportError.of(code, "m").retryable is again


def test_report_refuses_other_payloads() -> None:
    for payload in [b"", b"{}", b"[]", b"\x80", b'{"requestId":"r"}', b"[" * 100_000, b"\xc1"]:
        with pytest.raises((Undecodable, ValueError)):
            Report.decode(payload)


def test_report_ignores_unknown_fields() -> None:
    value = a_report().to_map() | {"newField": 1}
    assert Report.decode(codec.encode(value, "json")) == a_report()


# ---- cancels


def test_cancel_without_a_request_id_covers_all_requests() -> None:
    for payload in [b"", b"{}", b"\x80", b'{"requestId":null}', b'{"x":1}', b" {} "]:
        cancel = Cancel.decode(payload)
        assert cancel.request_id is None
        assert cancel.covers("anything")


@pytest.mark.parametrize("request_id", ["r1", "요청", "a.b", "seq-12", "é" * 128])
def test_cancel_with_a_request_id_covers_only_that_request(request_id: str) -> None:
    from orastream.contract import subjects

    for payload in (Cancel(request_id).encode(), codec.encode({"requestId": request_id}, "msgpack")):
        cancel = Cancel.decode(payload)
        assert cancel.covers(subjects.token(request_id))
        assert not cancel.covers("other")
    assert Cancel.decode(Cancel().encode()) == Cancel()


def test_cancel_refuses_invalid_payloads() -> None:
    for payload in [
        b" ",
        b"\x00",
        b"null",
        b"[]",
        b'"r1"',
        b"{",
        b"{}}",
        b"r1",
        b"\xff",
        b"\xc1",
        b"\x81",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"requestId":1}',
        b'{"requestId":true}',
        b'{"requestId":false}',
        b'{"requestId":[]}',
        b'{"requestId":{}}',
        b'{"requestId":""}',
        b'{"requestId":"\\ud800"}',
        b'{"requestId":"a\\nb"}',
        b'{"requestId":NaN}',
        b'{"requestId":"' + b"a" * 257 + b'"}',
        b"\x81\xa9requestId\xc4\x02r1",
        b"\x81\xc4\x09requestId\xa2r1",
        b"\x81\xc4\x09requestId\xc4\x02r1",
        b"\x81\xa9requestId\xc7\x01\x05a",
    ]:
        with pytest.raises(InvalidRequest):
            Cancel.decode(payload)


@settings(max_examples=150)
@given(st.binary(min_size=1, max_size=20))
def test_cancel_covers_all_requests_only_for_a_map_without_a_request_id(payload: bytes) -> None:
    try:
        cancel = Cancel.decode(payload)
    except InvalidRequest:
        return
    assert cancel.request_id == codec.decode(payload).get("requestId")


@pytest.mark.parametrize(
    ("fmt", "rate", "allowed"),
    [
        ("opus", 44_100, False),
        ("opus", 24_000, True),
        ("mp3", 22_051, False),
        ("flac", 22_051, True),
        ("wav", 9_999, True),
    ],
)
def test_parse_request_refuses_a_sample_rate_that_the_format_does_not_support(
    fmt: str, rate: int, allowed: bool
) -> None:
    fields = {"text": "a", "sessionId": "s", "phoneId": "p", "format": fmt, "sampleRate": rate}
    if allowed:
        assert parse_request(fields).sample_rate == rate
        return
    with pytest.raises(InvalidRequest, match="takes 8000, ") as caught:
        parse_request(fields)
    assert caught.value.field == "sampleRate"


def test_report_reads_an_unknown_error_code_as_internal() -> None:
    report = Report(requestId="r", sessionId="s", requestSeq=1, status="failed", error=ReportError.of("internal", "m"))
    later = report.encode("json").replace(b'"code":"internal"', b'"code":"moon_phase"')
    assert b"moon_phase" in later
    assert Report.decode(later) == report


def test_message_of_a_report_error_has_no_controls_and_a_bounded_length() -> None:
    error = ReportError.of("engine_error", "a server says \x1b[31m\u202eno\n" + "x" * 5_000)
    assert error.message.startswith("a server says \ufffd[31m\ufffdno x") and len(error.message) == 1_000
    assert ReportError.of("internal", "보통 메시지").message == "보통 메시지"


def test_a_wrong_setting_is_wrong_at_the_next_call_too() -> None:
    assert not SettingsError("NATS_URL: is no NATS address").retryable
