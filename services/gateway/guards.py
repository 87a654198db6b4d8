"""ASGI layers around the application: what is decided before a route is chosen, or kept until the answer has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from fastapi import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orastream.contract import codec
from services.gateway.access.cross_origin import PATHS, CrossOrigin, answer_headers, is_preflight, preflight_headers
from services.gateway.http.held import HELD
from services.gateway.http.protocol import full
from services.gateway.http.refusals import Reason
from services.gateway.http.responses import Answer, error
from services.gateway.openai.error_form import in_form_of

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are answered even when the gateway has no place for other calls."""

NO_HEADERS: Mapping[str, str] = {}


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


class CrossOriginAnswers:
    """Answers preflights, and lets pages of the hosts in GATEWAY_HOSTS read the answers of the API (`cross_origin`)."""

    def __init__(self, app: ASGIApp, origins: CrossOrigin) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight (204, or 403 if the page may not read answers), or pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(PATHS):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = self._origins.allowed(headers)
        if not is_preflight(scope["method"], headers):
            await self._app(scope, receive, _with_headers(send, answer_headers(origin)))
        elif origin is not None:
            await Response(status_code=204, headers=preflight_headers(scope["path"], headers, origin))(
                scope, receive, send
            )
        else:
            text = f"a page of {headers['origin'][:80]!r} may not use this gateway; add its host to GATEWAY_HOSTS"
            denied = error(403, "forbidden", text, headers=answer_headers(None))
            await _response(denied, scope)(scope, receive, send)


def _with_headers(send: Send, added: Mapping[str, str]) -> Send:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in added.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *raw]}
        await send(message)

    return sending


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
    await _response(answer, scope, {"Connection": "close"})(scope, receive, send)


def _response(answer: Answer, scope: Scope, more_headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """An error in the form of the path's API."""
    body = in_form_of(scope["path"], answer).body
    headers = {**answer.headers, **more_headers}
    return Response(codec.encode(body, "json"), answer.status, headers, "application/json")
