"""The gateway's answers for results and errors, over HTTP and over NATS."""

from __future__ import annotations

import pytest

from orastream.client.acceptance import Acceptance
from orastream.contract.errors import (
    InvalidRequest,
    NodeUnavailable,
    NotConnected,
    OrastreamError,
    Overloaded,
    PublishRefused,
    Undecodable,
    WaitTimeout,
)
from orastream.contract.messages import FINAL, Report, Status
from services.gateway import service_errors, tts_speak
from services.gateway.http import responses

pytestmark = pytest.mark.unit


def report(status: Status) -> Report:
    return Report(request_id="r/1", session_id="세션 1", request_seq=7, status=status)


def test_acceptance_is_answered_with_202_and_a_location() -> None:
    answer = responses.result(Acceptance("r/1", "세션 1", 7, duplicate=True))
    assert (answer.status, answer.outcome) == (202, "accepted")
    assert answer.body == {"requestId": "r/1", "sessionId": "세션 1", "requestSeq": 7, "status": "queued"}
    assert answer.headers == {"Location": "/api/reports/%EC%84%B8%EC%85%98%201/r%2F1"}


@pytest.mark.parametrize(
    ("status", "code"), [("delivered", 200), ("cancelled", 409), ("expired", 410), ("failed", 502)]
)
def test_final_report_is_answered_with_the_code_of_its_status(status: Status, code: int) -> None:
    answer = responses.result(report(status))
    assert (answer.status, answer.outcome, answer.body) == (code, status, report(status).to_map())


def test_every_final_status_has_an_answer() -> None:
    assert {responses.result(report(status)).outcome for status in FINAL} == FINAL


@pytest.mark.parametrize(
    ("exc", "status", "code", "retryable", "service_code"),
    [
        (InvalidRequest("text", "is required"), 422, "invalid_request", False, "400"),
        (Undecodable("is not JSON"), 422, "invalid_request", False, "400"),
        (Overloaded("no room"), 503, "overloaded", True, "503"),
        (NodeUnavailable("nats://me:secret@nats does not answer"), 503, "unavailable", True, "503"),
        (NotConnected("nats://me:secret@nats is closed"), 503, "unavailable", True, "503"),
        (PublishRefused("tts.request.s", 10054, "secret"), 503, "unavailable", True, "503"),
        (OrastreamError("secret"), 500, "internal", True, "500"),
    ],
)
def test_error_is_answered_with_its_status_and_code(
    exc: OrastreamError, status: int, code: str, retryable: bool, service_code: str
) -> None:
    answer = responses.problem(exc)
    assert (answer.status, answer.outcome, answer.body["error"]["retryable"]) == (status, code, retryable)
    assert answer.body["error"]["code"] == code
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert "secret" not in str(answer)
    assert service_errors.service_code(exc) == service_code


def test_answer_names_the_wrong_field() -> None:
    body = responses.problem(InvalidRequest("sessionId", "is required")).body
    message = "sessionId: is required"
    assert body == {"error": {"code": "invalid_request", "field": "sessionId", "message": message, "retryable": False}}


def test_answer_names_the_path_of_the_report_when_the_wait_times_out() -> None:
    answer = responses.problem(WaitTimeout("세션 1", "r/1", 60))
    path = "/api/reports/%EC%84%B8%EC%85%98%201/r%2F1"
    assert (answer.status, answer.outcome, answer.headers) == (504, "wait_timeout", {"Location": path})
    assert (answer.body["sessionId"], answer.body["requestId"], answer.body["report"]) == ("세션 1", "r/1", path)
    assert answer.body["error"]["retryable"] is True


def test_refusal_over_nats_is_a_failed_report() -> None:
    fields = {"requestId": "r1", "sessionId": "세션", "phoneId": "bad\nid", "text": 5}
    refusal = tts_speak.refusal(fields, InvalidRequest("text", "has the wrong type"))
    assert (refusal.request_id, refusal.session_id, refusal.phone_id) == ("r1", "세션", None)
    assert (refusal.status, refusal.request_seq) == ("failed", 0)
    assert refusal.error is not None
    assert (refusal.error.code, refusal.error.retryable) == ("invalid_request", False)


@pytest.mark.parametrize("unusable", [None, 5, "", "\ud800", "a\0b", "x" * 257, {"a": 1}])
def test_refusal_over_nats_can_be_encoded_with_unusable_ids(unusable: object) -> None:
    fields = {"requestId": unusable, "sessionId": unusable, "phoneId": unusable}
    refusal = tts_speak.refusal(fields, InvalidRequest("sessionId", "is unusable"))
    assert (refusal.request_id, refusal.session_id, refusal.phone_id) == ("", "", None)
    assert Report.decode(refusal.encode("json")) == refusal
    assert Report.decode(refusal.encode("msgpack")) == refusal


def test_error_headers_are_one_line_of_ascii() -> None:
    headers = service_errors.error_headers("503", "session 세션\r\nNats-Evil: 1\u2028 is full")
    assert headers["Nats-Service-Error-Code"] == "503"
    text = headers["Nats-Service-Error"]
    assert text.isascii() and text.isprintable()
    assert text == "session \\uc138\\uc158 Nats-Evil: 1 is full"
