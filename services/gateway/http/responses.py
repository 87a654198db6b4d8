"""The gateway's HTTP answers: status, body and headers of every result and error. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from orastream.client.acceptance import Acceptance
from orastream.contract.codec import Map
from orastream.contract.errors import (
    InvalidRequest,
    NodeUnavailable,
    OrastreamError,
    Overloaded,
    PublishRefused,
    WaitTimeout,
)
from orastream.contract.messages import Report, Status

RETRY_UNAVAILABLE_S = 5

_STATUS_OF_END: dict[Status, int] = {"delivered": 200, "cancelled": 409, "expired": 410, "failed": 502}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with a JSON body. `outcome` is its label in the metrics."""

    status: int
    body: Map
    outcome: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Raised to end the handling of an HTTP request with `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


def result(of: Acceptance | Report) -> Answer:
    """202 for an acceptance; for a final report 200 delivered, 409 cancelled, 410 expired, 502 failed."""
    if isinstance(of, Acceptance):
        return Answer(202, of.to_map(), "accepted", {"Location": report_path(of.session_id, of.request_id)})
    return Answer(_STATUS_OF_END[of.status], of.to_map(), of.status)


def error(
    status: int,
    code: str,
    message: str,
    *,
    retryable: bool = False,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error answer: `{"error": {code, message, retryable}}`, with `field` when a field is wrong."""
    body: Map = {"code": code, "message": message, "retryable": retryable}
    if field is not None:
        body["field"] = field
    return Answer(status, {"error": body}, code, headers or {})


def problem(exc: OrastreamError) -> Answer:
    """The answer for an error: 422, 503 with Retry-After, 504 with the report's path, else 500.

    Callers do not see internal details of the node.
    """
    match exc:
        case InvalidRequest():
            return error(422, exc.code, str(exc), field=exc.field)
        case Overloaded():
            return error(503, exc.code, str(exc), retryable=True, headers={"Retry-After": str(exc.retry_after_s)})
        case WaitTimeout():
            path = report_path(exc.session_id, exc.request_id)
            text = f"no final report within {exc.waited_s:g} s; the request goes on, its report is at {path}"
            answer = error(504, "wait_timeout", text, retryable=True, headers={"Location": path})
            answer.body.update(sessionId=exc.session_id, requestId=exc.request_id, report=path)
            return answer
        case NodeUnavailable() | PublishRefused():
            text = "the node does not answer; try again"
            return error(503, "unavailable", text, retryable=True, headers={"Retry-After": str(RETRY_UNAVAILABLE_S)})
        case _:
            return internal()


def internal() -> Answer:
    """500: an error in the gateway itself."""
    return error(500, "internal", "an error of the gateway; see its log", retryable=True)


def report_path(session_id: str, request_id: str) -> str:
    """The path of a request's report."""
    return f"/api/reports/{quote(session_id, safe='')}/{quote(request_id, safe='')}"
