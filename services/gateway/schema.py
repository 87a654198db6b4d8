"""What `/openapi.json` tells of bodies. Documentation only: requests are judged by `orastream.messages`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from orastream.messages import Report, SpeakRequest

Responses = dict[int | str, dict[str, Any]]


class AcceptanceBody(BaseModel):
    """The request is stored durably; `Location` says where to ask for its report."""

    requestId: str
    sessionId: str
    requestSeq: int = Field(description="its place in the order of everything asked")
    status: Literal["queued"]


class ErrorDetail(BaseModel):
    """A stable code, what is wrong and the mend, and whether the same call may succeed later."""

    code: str
    message: str
    retryable: bool
    field: str | None = Field(None, description="the field to blame, by its name on the wire")


class ErrorBody(BaseModel):
    """Why there is no result."""

    error: ErrorDetail


class WaitTimeoutBody(ErrorBody):
    """The request goes on; ask `report` (a path) for what becomes of it."""

    sessionId: str
    requestId: str
    report: str


class CancelBody(BaseModel):
    """The cancel is stored: it covers what the session asked before `cancelSeq`."""

    sessionId: str
    cancelSeq: int


Told = dict[int, tuple[type[BaseModel], str]]


def _responses(*tables: Told) -> Responses:
    return {
        status: {"model": model, "description": text} for table in tables for status, (model, text) in table.items()
    }


_REFUSALS: Told = {
    401: (ErrorBody, "a key of GATEWAY_API_KEYS is asked for"),
    408: (ErrorBody, "the body did not come"),
    413: (ErrorBody, "the body is larger than 1 MiB"),
    422: (ErrorBody, "`error.field` is wrong; nothing was stored"),
    503: (ErrorBody, "the node cannot take it now; see Retry-After"),
}

CONVERT = _responses(
    {
        200: (Report, "delivered (sync)"),
        202: (AcceptanceBody, "accepted (fire and forget)"),
        409: (Report, "cancelled (sync)"),
        410: (Report, "expired (sync)"),
        502: (Report, "failed (sync); `error` says why"),
        504: (WaitTimeoutBody, "GATEWAY_WAIT_SECONDS ran out (sync); the report still comes"),
    },
    _REFUSALS,
)
REPORT = _responses(
    {200: (Report, "the report that stands"), 404: (ErrorBody, "no such request within the last hour")},
    {status: _REFUSALS[status] for status in (401, 422, 503)},
)
CANCEL = _responses({202: (CancelBody, "stored")}, _REFUSALS)


def json_body(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """The request body of an operation."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def path_ids(*names: str) -> dict[str, Any]:
    """The path parameters of an operation: percent-encoded ids."""
    schema = {"type": "string", "minLength": 1}
    text = "an id, percent-encoded (a slash as %2F)"
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": schema, "description": text} for name in names
        ]
    }


CONVERT_BODY = json_body(SpeakRequest.model_json_schema(by_alias=True), required=True)
CANCEL_BODY = json_body(
    {
        "type": "object",
        "properties": {"requestId": {"type": "string", "description": "only this request; absent: all before"}},
    },
    required=False,
)
