"""ASGI layers around the application: what is decided before a route is chosen, or kept until the answer has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orastream.contract import codec
from services.gateway.http.held import HELD
from services.gateway.http.protocol import full
from services.gateway.http.refusals import Reason
from services.gateway.http.responses import Answer, error
from services.gateway.openai.request import error_body

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are answered even when the gateway has no place for other calls."""


class Guard:
    """Refuses requests whose end cannot be known for sure, and frees what a request holds when its answer has ended."""

    def __init__(self, app: ASGIApp, refused: Callable[[Reason], None]) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 and close the connection, or pass the request on."""
        if scope["type"] == "http" and (problem := framing_problem(scope)) is not None:
            self._refused("framing")
            await answer_and_close(error(400, "invalid_request", problem), scope, receive, send)
            return
        with contextlib.ExitStack() as held:
            scope[HELD] = held
            await self._app(scope, receive, send)


def framing_problem(scope: Scope) -> str | None:
    """Why two servers could disagree about the end of this request; None when they cannot.

    Source: RFC 9112, 6.1: the sender may be attempting request smuggling, and the server must close the connection.
    """
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" not in names:
        return None
    if b"content-length" in names:
        return "Content-Length and Transfer-Encoding exclude each other; send one of them"
    if scope["http_version"] == "1.0":
        return "Transfer-Encoding does not exist in HTTP/1.0; send Content-Length"
    return None


def probes_only(app: ASGIApp) -> ASGIApp:
    """The application for spare connections: health checks and metrics; other paths are answered with 503."""

    async def only(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
        else:
            await answer_and_close(full(), scope, receive, send)

    return only


async def answer_and_close(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error in the form of the path's API, and close the connection after it."""
    body = answer.body
    if scope["path"].startswith("/v1/"):
        body = error_body(answer.status, body["error"]["message"], code=answer.outcome)
    headers = {**answer.headers, "Connection": "close"}
    await Response(codec.encode(body, "json"), answer.status, headers, "application/json")(scope, receive, send)
