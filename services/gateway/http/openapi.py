"""What `/openapi.json` tells of operations: bodies, answers by status, headers, keys. Requests are judged elsewhere.

`tests/integration/services/gateway/http/test_openapi.py` holds it to what the gateway does.
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


class HealthBody(BaseModel):
    """The event loop answers."""

    status: Literal["ok"]


class ReadyBody(BaseModel):
    """Whether the node can take requests, and what it lacks."""

    status: Literal["ready", "unready"]
    reason: str | None = None


Told = Mapping[int, tuple[type[BaseModel] | str, str]]
"""By status: a model, or the name of a schema that `orastream.contract.schemas` makes; and when it is answered."""

_HEADERS: dict[str, Map] = {
    "Location": {"description": "where to ask for the report", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds", "schema": {"type": "string", "pattern": r"^\d+$"}},
    "WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}},
}
_HEADERS_OF = {202: "Location", 401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After", 504: "Location"}


def responses(*tables: Told, headers: bool = True) -> Responses:
    """The answers of an operation, in FastAPI's words."""
    told: Responses = {}
    for status, (body, text) in (item for table in tables for item in table.items()):
        told[status] = {"description": text}
        if isinstance(body, str):
            told[status]["content"] = {"application/json": {"schema": {"$ref": schemas.REF.format(model=body)}}}
        else:
            told[status]["model"] = body
        if headers and status in _HEADERS_OF:
            name = _HEADERS_OF[status]
            told[status]["headers"] = {name: _HEADERS[name]}
    return told


REFUSALS: Told = {
    401: (ErrorBody, "a key of GATEWAY_API_KEYS is asked for"),
    403: (ErrorBody, "without keys: it comes by an unknown host, or from a page of another site"),
    408: (ErrorBody, "the body did not come"),
    413: (ErrorBody, "the body is larger than 1 MiB"),
    422: (ErrorBody, "`error.field` is wrong; nothing was stored"),
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
        504: (WaitTimeoutBody, "GATEWAY_WAIT_SECONDS ran out (sync); the report still comes"),
    },
    REFUSALS,
)
REPORT = responses(
    {200: ("Report", "the report that stands"), 404: (ErrorBody, "no such request within the last hour")},
    {status: REFUSALS[status] for status in (401, 403, 422, 500, 503)},
)
CANCEL = responses({404: (ErrorBody, "the path is not of this form")}, REFUSALS) | {
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
    """A schema of the contract, as `complete` puts it into the document."""
    return {"$ref": schemas.REF.format(model=name)}


CONVERT_BODY = json_body(reference("SpeakRequest"), required=True)
CANCEL_BODY = json_body(reference("Cancel"), required=False)


DESCRIPTION = (
    "The front door of the node for HTTP callers. Bodies are JSON objects in UTF-8, or msgpack maps of the same "
    "fields; answers are JSON. The same requests over NATS: docs/asyncapi.yaml."
)
METRICS: Responses = {200: {"description": "Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}}


def secured(asked: bool) -> Map:
    """What an operation asks for, when keys are asked for at all: one of them, in either header."""
    return {"security": [{name: []} for name in _SECURITY_SCHEMES]} if asked else {}


_SECURITY_SCHEMES: dict[str, Map] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key of GATEWAY_API_KEYS"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key of GATEWAY_API_KEYS"},
}


def contract(max_text_chars: int) -> dict[str, Map]:
    """The schemas of the contract, by name; a text has at most so many characters."""
    return {
        "SpeakRequest": schemas.request(max_text_chars),
        "Cancel": schemas.cancel(),
        "Report": schemas.report(),
        "ReportError": schemas.report_error(),
    }


def complete(app: FastAPI, components: Mapping[str, Map]) -> None:
    """Have the document of `app` hold these schemas too, and how to bring a key."""
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
    """FastAPI's own validation of parameters, which no route here uses, and its errors."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
