"""The HTTP entrance: routes, bodies and ids in; answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import orastream
from orastream import codec, subjects
from orastream.errors import InvalidRequest, OrastreamError
from orastream.messages import Cancel
from orastream.metrics import CONTENT_TYPE, Metrics
from services.gateway import schema
from services.gateway.answers import Answer, Refused, error, internal, problem, result
from services.gateway.door import Door
from services.gateway.keys import Keys

MAX_BODY_BYTES = 1 << 20
MAX_DISCARDED_BYTES = 8 << 20
"""What is read of a body that is too large, so that a client which writes before it reads gets its 413."""
BODY_TIMEOUT_S = 15.0

Handler = Callable[[Request], Awaitable[Answer]]

log = structlog.get_logger()


def application(door: Door, keys: Keys, *, metrics: Metrics, lacking: Callable[[], Awaitable[str | None]]) -> FastAPI:
    """The application over `door`; `lacking` says why the service cannot work now, or None."""
    app = FastAPI(
        title="orastream gateway",
        version=orastream.__version__,
        redirect_slashes=False,  # a redirected POST is a lost or repeated one
        redoc_url=None,
        exception_handlers={HTTPException: _no_such_route},
    )
    api = Api(door)

    def add(method: str, paths: tuple[str, ...], route: str, handler: Handler, **documented: object) -> None:
        endpoint = _endpoint(door, keys, route, handler)
        endpoint.__doc__ = handler.__doc__
        first, *others = paths
        app.add_api_route(first, endpoint, methods=[method], name=route, response_model=None, **documented)  # type: ignore[arg-type]
        for path in others:
            app.add_api_route(path, endpoint, methods=[method], response_model=None, include_in_schema=False)

    add(
        "POST",
        ("/api/convert-tts/", "/api/convert-tts"),
        "convert-tts",
        api.convert,
        status_code=202,
        responses=schema.CONVERT,
        openapi_extra=schema.CONVERT_BODY,
    )
    # Ids are cut out of the raw path, where a slash within an id is still %2F: hence the catch-all beside each route.
    add(
        "GET",
        ("/api/reports/{sessionId}/{requestId}", "/api/reports/{ids:path}"),
        "reports",
        api.report,
        responses=schema.REPORT,
        openapi_extra=schema.path_ids("sessionId", "requestId"),
    )
    add(
        "POST",
        ("/api/cancel/{sessionId}", "/api/cancel/{ids:path}"),
        "cancel",
        api.cancel,
        status_code=202,
        responses=schema.CANCEL,
        openapi_extra=schema.path_ids("sessionId") | schema.CANCEL_BODY,
    )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The event loop answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> Response:
        """The node can take requests: a NATS round trip just now."""
        reason = await lacking()
        if reason is None:
            return _json(200, {"status": "ready"})
        log.debug("not ready", reason=reason)
        return _json(503, {"status": "unready", "reason": "NATS does not answer"})

    @app.get("/metrics")
    async def exposition() -> Response:
        """Prometheus metrics."""
        return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    return app


class Api:
    """The three routes under `/api/`; what they raise becomes an answer in `_endpoint`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def convert(self, request: Request) -> Answer:
        """Have a text spoken to a phone.

        Fire and forget (DEFAULT_FIRE_AND_FORGET, when the body leaves it open) is answered once the request is
        stored, otherwise the answer is the final report.
        """
        return result(await self._door.speak(codec.decode(await _body(request))))

    async def report(self, request: Request) -> Answer:
        """What became of a request: its last report, also while it is under way."""
        session_id, request_id = _ids(request, "/api/reports/", "sessionId", "requestId")
        report = await self._door.client.report(session_id, request_id)
        if report is None:
            return error(404, "not_found", "no such request within the last hour")
        return Answer(200, report.to_map(), "found")

    async def cancel(self, request: Request) -> Answer:
        """Barge-in: stop all that the session asked before, or the one request that the body names."""
        (session_id,) = _ids(request, "/api/cancel/", "sessionId")
        cancel = Cancel.decode(await _body(request))
        sequence = await self._door.client.cancel(session_id, cancel.request_id)
        return Answer(202, {"sessionId": session_id, "cancelSeq": sequence}, "accepted")


def _endpoint(door: Door, keys: Keys, route: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        answer = await _answered(request, keys, handler)
        door.count(route, answer.outcome)
        return _json(answer.status, answer.body, dict(answer.headers))

    return endpoint


async def _answered(request: Request, keys: Keys, handler: Handler) -> Answer:
    try:
        if not keys.allow(request.headers):
            text = "Authorization: Bearer <key> or X-API-Key: <key> is required"
            return error(401, "unauthorized", text, headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)
    except Refused as exc:
        return exc.answer
    except OrastreamError as exc:
        answer = problem(exc)
        if answer.status >= 500:
            log.warning("a request could not be served", outcome=answer.outcome, error=str(exc))
        return answer
    except ClientDisconnect:
        return error(400, "disconnected", "the connection ended within the body")
    except Exception:  # noqa: BLE001 - the border of one caller: logged, answered, and the gateway goes on
        log.exception("a request met an error of ours")
        return internal()


async def _body(request: Request) -> bytes:
    """The raw body, bounded in bytes and in time. Raises Refused (413, 408)."""
    body = bytearray()
    read = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                read += len(piece)
                if read <= MAX_BODY_BYTES:
                    body += piece
                elif read > MAX_DISCARDED_BYTES:
                    break
    except TimeoutError:
        raise Refused(
            error(408, "body_timeout", f"no whole body within {BODY_TIMEOUT_S:g} s", retryable=True)
        ) from None
    if read > MAX_BODY_BYTES:
        raise Refused(error(413, "too_large", f"the body has more than {MAX_BODY_BYTES} bytes"))
    return bytes(body)


def _ids(request: Request, prefix: str, *names: str) -> list[str]:
    """The ids that follow `prefix` in the path as it was sent. Raises Refused (404), InvalidRequest."""
    raw = bytes(request.scope["raw_path"]).decode("latin-1")
    parts = raw.partition(prefix)[2].removesuffix("/").split("/")
    if len(parts) != len(names):
        raise Refused(error(404, "not_found", f"the path is {prefix}{'/'.join(f'<{name}>' for name in names)}"))
    ids = []
    for name, part in zip(names, parts, strict=True):
        try:
            value = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            raise InvalidRequest(name, "is not UTF-8; percent-encode it") from None
        ids.append(subjects.check_id(value, name))
    return ids


async def _no_such_route(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = "not_found" if exc.status_code == 404 else "method_not_allowed" if exc.status_code == 405 else "refused"
    answer = error(exc.status_code, code, exc.detail)
    return _json(answer.status, answer.body, dict(exc.headers or {}))


def _json(status: int, body: codec.Map, headers: dict[str, str] | None = None) -> Response:
    return Response(codec.encode(body, "json"), status, headers, "application/json")
