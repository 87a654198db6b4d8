"""The parts of `/openapi.json` about operations: bodies, answers by status, headers, keys. It validates no request.

`tests/integration/services/gateway/http/test_openapi.py` compares it with what the gateway does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

from orastream.contract import schemas
from orastream.contract.codec import Map

Responses = dict[int | str, dict[str, Any]]


class AcceptanceBody(BaseModel):
    """The request is stored durably; `Location` is the path of its report."""

    requestId: str
    sessionId: str
    requestSeq: int = Field(description="its sequence: its place in the order of all requests")
    status: Literal["queued"]


class ErrorDetail(BaseModel):
    """A stable code, a message with the problem and the fix, and whether the same call may succeed later."""

    code: str
    message: str
    retryable: bool
    field: str | None = Field(None, description="the field that is wrong, by its name on the wire")


class ErrorBody(BaseModel):
    """Why there is no result."""

    error: ErrorDetail


class WaitTimeoutBody(ErrorBody):
    """The request goes on; `report` is the path of its report."""

    sessionId: str
    requestId: str
    report: str


class CancelBody(BaseModel):
    """The cancel is stored. It applies to the requests of the session with a sequence below `cancelSeq`."""

    sessionId: str
    cancelSeq: int


class HealthBody(BaseModel):
    """The event loop answers."""

    status: Literal["ok"]


class ReadyBody(BaseModel):
    """Whether the node can take requests, and if not, why."""

    status: Literal["ready", "unready"]
    reason: str | None = None


Answers = Mapping[int, tuple[type[BaseModel] | str, str]]
"""By status: the body (a model, or the name of a schema of `orastream.contract.schemas`), and when it is the answer."""

_HEADERS: dict[str, Map] = {
    "Location": {"description": "where to ask for the report", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds", "schema": {"type": "string", "pattern": r"^\d+$"}},
    "WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}},
}
_HEADERS_OF = {202: "Location", 401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After", 504: "Location"}


def responses(*tables: Answers, headers: bool = True) -> Responses:
    """The answers of an operation, in the form of FastAPI's `responses`."""
    documented: Responses = {}
    for status, (body, text) in (item for table in tables for item in table.items()):
        documented[status] = {"description": text}
        if isinstance(body, str):
            documented[status]["content"] = {"application/json": {"schema": {"$ref": schemas.REF.format(model=body)}}}
        else:
            documented[status]["model"] = body
        if headers and status in _HEADERS_OF:
            name = _HEADERS_OF[status]
            documented[status]["headers"] = {name: _HEADERS[name]}
    return documented


REFUSALS: Answers = {
    401: (ErrorBody, "a key of GATEWAY_API_KEYS is required"),
    403: (ErrorBody, "without keys: the Host is unknown, or the call comes from a page of another site"),
    408: (ErrorBody, "the body did not arrive in time"),
    413: (ErrorBody, "the body is larger than 1 MiB"),
    422: (ErrorBody, "`error.field` is wrong; nothing was stored"),
    429: (ErrorBody, "a limit of the caller is reached; see Retry-After"),
    500: (ErrorBody, "an error of the gateway"),
    503: (ErrorBody, "the node cannot take it now; see Retry-After"),
}

CONVERT = responses(
    {
        200: ("Report", "delivered (sync)"),
        202: (AcceptanceBody, "accepted (fire and forget)"),
        409: ("Report", "cancelled (sync)"),
        410: ("Report", "expired (sync)"),
        502: ("Report", "failed (sync); `error` says why"),
        504: (WaitTimeoutBody, "no final report within GATEWAY_WAIT_SECONDS (sync); the request goes on"),
    },
    REFUSALS,
)
REPORT = responses(
    {200: ("Report", "the newest report"), 404: (ErrorBody, "no such request within the last hour")},
    {status: REFUSALS[status] for status in (401, 403, 422, 429, 500, 503)},
)
CANCEL = responses({404: (ErrorBody, "the path has another form")}, REFUSALS) | {
    202: {"model": CancelBody, "description": "stored"}
}
READY = responses({200: (ReadyBody, "ready"), 503: (ReadyBody, "it cannot work now")}, headers=False)


def json_body(schema: Map, *, required: bool) -> Map:
    """The request body of an operation."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def path_ids(*names: str) -> Map:
    """The path parameters of an operation: percent-encoded ids."""
    text = "an id, percent-encoded (a slash as %2F)"
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": schemas.IDENTIFIER, "description": text}
            for name in names
        ]
    }


def reference(name: str) -> Map:
    """A reference to a schema that `complete` puts into the document."""
    return {"$ref": schemas.REF.format(model=name)}


CONVERT_BODY = json_body(reference("SpeakRequest"), required=True)
CANCEL_BODY = json_body(reference("Cancel"), required=False)


DESCRIPTION = (
    "The node's API for HTTP callers. Bodies are JSON objects in UTF-8, or msgpack maps with the same "
    "fields; answers are JSON. The same requests over NATS: docs/asyncapi.yaml."
)
METRICS: Responses = {200: {"description": "Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}}


def secured(asked: bool) -> Map:
    """The security requirement of an operation: with `asked`, one key in either header."""
    return {"security": [{name: []} for name in _SECURITY_SCHEMES]} if asked else {}


_SECURITY_SCHEMES: dict[str, Map] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key of GATEWAY_API_KEYS"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key of GATEWAY_API_KEYS"},
}


def contract(max_text_chars: int) -> dict[str, Map]:
    """The schemas of the contract, by name. `max_text_chars` is the limit of `text`, in characters."""
    return {
        "SpeakRequest": schemas.request(max_text_chars),
        "Cancel": schemas.cancel(),
        "Report": schemas.report(),
        "ReportError": schemas.report_error(),
        "Heard": schemas.heard(),
    }


def complete(app: FastAPI, components: Mapping[str, Map]) -> None:
    """Add these schemas and the security schemes to the OpenAPI document of `app`."""
    make = app.openapi

    def openapi() -> Map:
        if app.openapi_schema is None:
            document = make()
            parts = document.setdefault("components", {})
            parts.setdefault("schemas", {}).update(components)
            parts["securitySchemes"] = _SECURITY_SCHEMES
            _take_out_validation(document)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _take_out_validation(document: Map) -> None:
    """Remove FastAPI's validation errors: no route here uses its validation of parameters."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
