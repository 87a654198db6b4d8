"""What the status and the headers of an answer mean, and what of its message may be quoted."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.openai_speech.answer import (
    MAX_REST_S,
    MIN_REST_S,
    AnswerKind,
    judge,
    reason,
    refused_field,
    rest_seconds,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


def kind(status: int, content_type: str = "audio/pcm", encoding: str = "", retry_after: str = "") -> AnswerKind:
    return judge(status, content_type, encoding, retry_after, NOW).kind


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(status, AnswerKind.SPEECH) for status in (200, 206)],
        *[(status, AnswerKind.FAILED) for status in (100, 101, 301, 302, 307, 408, 409, 425, 500, 502, 503, 504, 599)],
        *[(status, AnswerKind.KEY_REFUSED) for status in (401, 403)],
        *[(status, AnswerKind.REFUSED) for status in (400, 405, 413, 414, 415, 422, 451)],
        (404, AnswerKind.NOT_THERE),
        (429, AnswerKind.BUSY),
    ],
)
def test_kind_of_a_status(status: int, expected: AnswerKind) -> None:
    assert kind(status) is expected


def test_503_with_retry_after_asks_to_wait() -> None:
    assert kind(503, retry_after="2") is AnswerKind.BUSY and kind(503, retry_after=" ") is AnswerKind.FAILED
    assert judge(429, "", "", "2", NOW).rest_s == 2


@pytest.mark.parametrize(
    "content_type",
    [
        *[
            "",
            "audio/pcm",
            "audio/wav",
            "audio/x-wav",
            "audio/L16;rate=24000",
            "AUDIO/PCM",
            "audio/raw",
            "audio/vnd.wave",
        ],
        *["application/octet-stream", "binary/octet-stream; charset=binary"],
    ],
)
def test_types_of_audio_that_is_not_coded(content_type: str) -> None:
    assert kind(200, content_type) is AnswerKind.SPEECH


@pytest.mark.parametrize(
    ("content_type", "expected_message"),
    [
        ("application/json", "sent application/json instead of audio"),
        ("text/event-stream", "sent text/event-stream instead of audio"),
        ("text/plain; charset=utf-8", "sent text/plain instead of audio"),
        ("audio/mpeg", "sent audio/mpeg instead of PCM or WAV"),
        ("audio/x-flac", "sent audio/x-flac instead of PCM or WAV"),
        ("audio/ogg; codecs=opus", "sent audio/ogg instead of PCM or WAV"),
        ("audio/x-m4a", "sent audio/x-m4a instead of PCM or WAV"),
        ("\x1b[31m", "sent \ufffd[31m instead of audio"),
    ],
)
def test_types_that_are_no_audio_or_coded(content_type: str, expected_message: str) -> None:
    answer = judge(200, content_type, "", "", NOW)
    assert answer.kind is AnswerKind.FAILED and answer.problem.startswith(expected_message)


def test_compressed_answer_is_a_failure() -> None:
    assert kind(200, encoding="gzip") is AnswerKind.FAILED and kind(200, encoding="identity") is AnswerKind.SPEECH


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("5", 5),
        ("0", MIN_REST_S),
        ("0.5", 0.5),
        ("3600", MAX_REST_S),
        ("9" * 400, MAX_REST_S),
        ("", 1),
        ("soon", 1),
        ("-3", 1),
        ("Tue, 01 Dec 2026 12:00:07 GMT", 7),
        ("Tue, 01 Dec 2026 11:00:00 GMT", MIN_REST_S),
        ("Tue, 01 Dec 2099 12:00:00 GMT", MAX_REST_S),
    ],
)
def test_rest_of_a_retry_after_header(said: str, expected: float) -> None:
    assert rest_seconds(said, NOW) == expected


@given(st.text(max_size=40))
def test_rest_is_always_within_its_limits(said: str) -> None:
    assert MIN_REST_S <= rest_seconds(said, NOW) <= MAX_REST_S


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "no such voice", "param": "voice"}}, ": no such voice"),
        ({"error": "invalid_model"}, ": invalid_model"),
        ({"detail": "Not Found"}, ": Not Found"),
        ({"detail": [{"loc": ["body", "speed"], "msg": "too high"}]}, ": too high"),
        ({"detail": {"error": "x", "message": "voice not found"}}, ": voice not found"),
        ({"message": "bad"}, ": bad"),
        ({"error": {"message": "cannot read 비밀번호는"}}, " (see its log)"),
        ({"error": {"message": "key sk-1 is used up"}}, ""),
        ({"error": {"message": 5}, "detail": None}, ""),
        ({"error": []}, ""),
        ({"error": {"message": "\x1b[31mno"}}, ": \ufffd[31mno"),
    ],
)
def test_reason_of_an_error_body(body: object, expected: str) -> None:
    assert reason(json.dumps(body).encode(), "제 비밀번호는 4711번입니다", "sk-1") == expected


@given(st.binary(max_size=99), st.text(max_size=20))
def test_any_body_has_a_short_reason(body: bytes, sentence: str) -> None:
    assert len(reason(body, sentence, "sk-1")) <= 202
    assert refused_field(body) == "text"


@pytest.mark.parametrize(
    ("param", "field"),
    [("input", "text"), ("voice", "voice"), ("model", "voice"), (None, "text"), ("", "text"), (5, "text")],
)
def test_field_that_a_server_refuses(param: object, field: str) -> None:
    assert refused_field(json.dumps({"error": {"param": param}}).encode()) == field
    assert refused_field(json.dumps({"detail": [{"loc": ["body", param], "msg": "no"}]}).encode()) == field


@pytest.mark.parametrize("detail", [[], ["x"], [{"loc": "body"}], [{"loc": ["body"]}], [{"loc": ["query", "voice"]}]])
def test_place_outside_of_the_body_is_no_field(detail: object) -> None:
    assert refused_field(json.dumps({"detail": detail}).encode()) == "text"
