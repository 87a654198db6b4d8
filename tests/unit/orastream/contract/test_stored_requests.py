"""Any message in TTS_SESSIONS is read as a request, a request with a problem, or a cancel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import codec, subjects
from orastream.contract.errors import InvalidRequest
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_stored, token_of
from orastream.jetstream.api import Stored
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

GOOD: dict[str, Any] = {"text": "비밀 secret", "sessionId": "s1", "phoneId": "p1"}


def read(payload: bytes, session: str = "s1", sequence: int = 42) -> StoredRequest:
    subject = NAMES.session_request(session)
    stored = read_stored(NAMES, subject, sequence, 1000.0, payload, max_text_chars=5000)
    assert isinstance(stored, StoredRequest)
    assert (stored.request is None) != (stored.problem is None)
    assert stored.token == subjects.token(stored.request_id)
    assert token_of(Stored(subject, sequence, "2026-01-01T00:00:00Z", payload)) == stored.token
    if stored.request is not None and stored.request.request_id is not None:
        assert stored.request_id == stored.request.request_id
    assert NAMES.reply_allowed(stored.reply_to) if stored.reply_to is not None else True
    if stored.problem is not None:
        assert "secret" not in str(stored.problem)
        report = stored.report("failed")
        for encoding in ("json", "msgpack"):
            assert type(report).decode(report.encode(encoding)) == report
        assert (report.request_seq, report.session_id) == (sequence, stored.session_id)
    return stored


def read_map(value: dict[str, Any], **where: Any) -> StoredRequest:
    return read(json.dumps(value).encode(), **where)


def read_cancel(payload: bytes, sequence: int = 42) -> StoredCancel:
    stored = read_stored(NAMES, NAMES.session_cancel("s1"), sequence, 1000.0, payload, max_text_chars=5000)
    assert isinstance(stored, StoredCancel)
    return stored


def test_valid_request_is_read_with_all_its_fields() -> None:
    stored = read_map(GOOD | {"requestId": "요청", "replyTo": "_INBOX.a", "ttlSeconds": 7, "use_websocket": False})
    assert stored.problem is None and stored.request is not None
    assert (stored.request_id, stored.session_id, stored.phone_id) == ("요청", "s1", "p1")
    assert (stored.reply_to, stored.ttl_s, stored.stated_transport) == ("_INBOX.a", 7, "http")
    assert (stored.encoding, stored.stored_at_s, stored.sequence) == ("json", 1000.0, 42)
    assert read(codec.encode(GOOD, "msgpack")).encoding == "msgpack"


def test_request_without_an_id_gets_an_id_from_its_sequence() -> None:
    for value in (GOOD, GOOD | {"requestId": None}, GOOD | {"request_id": "other"}):
        assert read_map(value).request_id == "seq-42" == read_map(value).token


@pytest.mark.parametrize(
    "request_id", ["", 5, True, [], {}, "a" * 257, "a\nb", "\ud800", "seq-42", "seq-7", float("nan"), 1e999]
)
def test_request_with_an_unusable_id_is_reported_under_its_sequence(request_id: Any) -> None:
    stored = read_map(GOOD | {"requestId": request_id})
    assert stored.problem is not None
    assert (stored.request_id, stored.token) == ("seq-42", "seq-42")
    assert stored.problem.field == ("payload" if request_id != request_id or request_id == 1e999 else "requestId")


@pytest.mark.parametrize("payload", [b"", b"x", b"{", b"[]", b"\xff", b"\xc1", b"[" * 100_000, b'{"a":' * 100_000])
def test_undecodable_payload_is_reported_under_its_sequence(payload: bytes) -> None:
    stored = read(payload)
    assert stored.problem is not None and stored.problem.field == "payload"
    assert (stored.request_id, stored.session_id, stored.phone_id, stored.reply_to) == ("seq-42", "s1", None, None)
    assert stored.ttl_s == 30 and stored.stated_transport is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": "a" * 5001}, "text"),
        ({"use_websocket": "yes"}, "use_websocket"),
        ({"speed": True}, "speed"),
        ({"sessionId": "s2"}, "sessionId"),
        ({"sessionId": None}, "sessionId"),
        ({"transport": "smoke"}, "transport"),
    ],
)
def test_bad_request_is_reported_under_its_id_when_the_id_is_usable(changes: dict[str, Any], field: str) -> None:
    stored = read_map(GOOD | {"requestId": "r.1", "replyTo": "tts.reply.x"} | changes)
    assert stored.problem is not None and stored.problem.field == field
    assert (stored.request_id, stored.token) == ("r.1", subjects.token("r.1"))
    assert (stored.session_id, stored.phone_id, stored.reply_to) == ("s1", "p1", "tts.reply.x")


@pytest.mark.parametrize("reply", ["tts.request.s1", "_INBOX.>", "", 5, [], "\ud800", "$JS.API.STREAM.PURGE.TTS_AUDIO"])
def test_forbidden_reply_subject_is_not_used(reply: Any) -> None:
    stored = read_map(GOOD | {"replyTo": reply})
    assert stored.reply_to is None
    assert stored.problem is not None and stored.problem.field == "replyTo"


@pytest.mark.parametrize("phone", ["", 5, [], "\ud800", "a\nb", "p" * 257])
def test_bad_phone_id_is_not_copied_into_the_report(phone: Any) -> None:
    stored = read_map(GOOD | {"phoneId": phone})
    assert stored.phone_id is None
    assert stored.problem is not None and stored.problem.field == "phoneId"


def test_session_token_that_belongs_to_no_id_is_refused() -> None:
    for session in ("a" * 129, "~YQ", "세션", "~"):
        stored = read_map(GOOD, session=session)
        assert stored.problem is not None and stored.problem.field == "sessionId"
        assert stored.session_id == session
    assert read_map(GOOD | {"sessionId": "세션"}, session=subjects.token("세션")).problem is None


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=4)
    | st.sampled_from(["seq-1", "s1", "_INBOX.a", "http", 1, [], {}, "ab"])
)
FIELDS = st.sampled_from(["text", "sessionId", "phoneId", "requestId", "replyTo", "ttlSeconds", "transport", "speed"])


@settings(max_examples=80)
@given(st.dictionaries(FIELDS, VALUES, max_size=3))
def test_any_map_is_read_without_an_error(changes: dict[str, Any]) -> None:
    stored = read_map(GOOD | changes)
    assert 1 <= stored.ttl_s <= 3600


@settings(max_examples=80)
@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda b: b"\x84" + b))
def test_any_bytes_are_read_without_an_error(payload: bytes) -> None:
    assert read(payload).problem is not None
    stored = read_cancel(payload)
    if payload and stored.cancel is not None and stored.cancel.request_id is None:
        assert codec.decode(payload).get("requestId") is None


def test_cancel_covers_only_requests_stored_before_it() -> None:
    everything, one, nothing = read_cancel(b""), read_cancel(b'{"requestId":"r.1"}'), read_cancel(b"{")
    for sequence in range(38, 46):
        assert everything.covers(sequence, "x") == (sequence < 42)
        assert one.covers(sequence, subjects.token("r.1")) == (sequence < 42)
        assert not one.covers(sequence, "x")
        assert not nothing.covers(sequence, "x")
    assert nothing.cancel is None
    assert read_cancel(b'{"requestId":"seq-7"}').covers(7, "seq-7")


def test_problem_is_an_invalid_request() -> None:
    assert isinstance(read(b"").problem, InvalidRequest)


@pytest.mark.parametrize(
    ("fields", "silent"),
    [
        ({"text": "안녕"}, False),
        ({"text": "안녕 <think>음</think>"}, False),
        ({"text": " <think>음</think>"}, True),
        ({"text": "<|im_end|>"}, True),
        ({"text": "[INST]"}, True),
        ({"text": "<speak>네</speak>", "ssml": True}, False),
        ({"textStream": True}, True),
        ({"text": "🙂 <thi", "textStream": True}, True),
        ({"text": "안녕", "textStream": True}, False),
        ({"text": "", "redeliverOf": "r"}, True),
    ],
)
def test_only_a_text_whose_end_or_tags_decide_may_be_silent(fields: dict[str, Any], silent: bool) -> None:
    assert read_map({**GOOD, "text": "", **fields}).may_be_silent is silent


def test_a_request_that_cannot_be_read_is_not_silent() -> None:
    assert read(b"[]").may_be_silent is False
