"""The gateway's HTTP application: routes, reading of bodies and ids, and answers."""

# length: one table of routes, with their handlers

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from orastream.base.version import VERSION
from orastream.contract import codec
from orastream.contract.errors import InvalidRequest, OrastreamError
from orastream.contract.messages import Cancel
from orastream.service.metrics import CONTENT_TYPE, Metrics
from services.gateway.access.admission import CallerAdmission, Counted, Visit
from services.gateway.access.policy import Denied
from services.gateway.http import openapi
from services.gateway.http.raw_ids import ids_of
from services.gateway.http.request_body import body_of
from services.gateway.http.responses import Answer, Refused, error, internal, problem, result
from services.gateway.http.tracing import answered, server_span
from services.gateway.legacy import old_caller
from services.gateway.legacy import schema as legacy_schema
from services.gateway.openai import routes, schema
from services.gateway.openai.error_form import in_form_of
from services.gateway.request_service import RequestService
from services.gateway.routes import audio, captions, console, heard, openapi_live, voices
from services.gateway.routes.events import Events
from services.gateway.routes.node import NodeView
from services.gateway.routes.request_events import EVENTS, RequestEvents, RequestEventsRoute

Handler = Callable[[Request], Awaitable[Answer | Response]]

log = structlog.get_logger()


def application(  # noqa: PLR0913 - what the service wires
    request_service: RequestService,
    admission: CallerAdmission,
    node: NodeView,
    events: Events,
    *,
    metrics: Metrics,
    lacking: Callable[[], Awaitable[str | None]],
    legacy: bool,
) -> FastAPI:
    """The HTTP application over `request_service`. `lacking` returns why the service cannot work now, or None.

    With `legacy`, `/api/convert-tts/` serves callers of the Django TTS server.
    """
    app = FastAPI(
        title="orastream gateway",
        version=VERSION,
        description=openapi.DESCRIPTION,
        redirect_slashes=False,  # clients lose or repeat a POST that is redirected
        docs_url=None,  # its viewer loads a script of another site, which could read the key that the console keeps
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        # `tracing.py` makes the spans: FastAPI's would also trace health checks, and log the messages of exceptions.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
        exception_handlers={HTTPException: _no_such_route},
    )
    api = Api(request_service, node, legacy=legacy)
    asks = openapi.secured(admission.asks)

    def add(
        method: str,
        paths: tuple[str, ...],
        route: str,
        handler: Handler,
        *,
        counted: Counted = Counted.EACH,
        openapi_extra: codec.Map | None = None,
        **documented: Any,
    ) -> None:
        endpoint = _endpoint(request_service, admission, route, handler, counted)
        endpoint.__doc__ = handler.__doc__
        first, *others = paths
        documented["openapi_extra"] = (openapi_extra or {}) | asks
        of: Any = {"methods": [method], "response_model": None}
        of["route_class_override"] = documented.pop("route_class", None)
        head = paths if documented.pop("head", False) else ()
        app.router.add_api_route(first, endpoint, name=route, **of, **documented)
        for path in others:
            app.router.add_api_route(path, endpoint, include_in_schema=False, **of)
        for path in head:
            app.router.add_api_route(path, endpoint, include_in_schema=False, **of | {"methods": ["HEAD"]})

    add(
        "POST",
        ("/api/convert-tts/", "/api/convert-tts"),
        "convert-tts",
        api.convert,
        counted=Counted.SPEECH,
        status_code=200 if legacy else 202,
        responses=legacy_schema.CONVERT if legacy else openapi.CONVERT,
        openapi_extra=legacy_schema.CONVERT_BODY if legacy else openapi.CONVERT_BODY,
    )
    # Before the report, whose catch-all path has it, too.
    add(
        "GET",
        ("/api/reports/{sessionId}/{requestId}/events", "/api/reports/{ids:path}/events"),
        "report_events",
        api.report_events,
        counted=Counted.NOT,
        route_class=RequestEventsRoute,
        response_class=StreamingResponse,
        responses=openapi_live.REQUEST_EVENTS,
        openapi_extra=openapi.path_ids("sessionId", "requestId"),
    )
    # Ids are read from the raw path, where a slash in an id is still %2F. Starlette routes by the decoded path, in
    # which such an id has more segments: only the catch-all path beside each route matches it.
    add(
        "GET",
        ("/api/reports/{sessionId}/{requestId}", "/api/reports/{ids:path}"),
        "reports",
        api.report,
        responses=openapi.REPORT,
        openapi_extra=openapi.path_ids("sessionId", "requestId"),
    )
    add(
        "POST",
        ("/api/cancel/{sessionId}", "/api/cancel/{ids:path}"),
        "cancel",
        api.cancel,
        status_code=202,
        responses=heard.CUT,
        openapi_extra=heard.CUT_PARAMETERS | openapi.CANCEL_BODY,
    )
    add(
        "GET",
        ("/api/heard/{sessionId}/{requestId}", "/api/heard/{ids:path}"),
        "heard",
        api.heard,
        responses=heard.HEARD,
        openapi_extra=openapi.path_ids("sessionId", "requestId"),
    )

    add("GET", ("/api/voices", "/api/voices/"), "voices", api.voices, responses=openapi_live.VOICES)
    add(
        "GET",
        ("/api/audio/{sessionId}/{requestId}", "/api/audio/{ids:path}"),
        "audio",
        api.audio,
        head=True,
        response_class=StreamingResponse,
        responses=openapi_live.AUDIO,
        openapi_extra=openapi_live.AUDIO_PARAMETERS,
    )
    add("GET", ("/api/node",), "node", api.node, counted=Counted.NOT, responses=openapi_live.NODE)
    add(
        "GET",
        ("/api/events",),
        "events",
        events.events,
        counted=Counted.NOT,
        response_class=StreamingResponse,
        responses=openapi_live.EVENTS,
        openapi_extra=openapi_live.EVENTS_PARAMETERS,
    )

    routes.add_routes(app, request_service, admission)
    console.add_pages(app)

    # A monitor or balancer may send HEAD: it is answered like GET, without the body.
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def healthz() -> openapi.HealthBody:
        """The event loop answers."""
        return openapi.HealthBody(status="ok")

    @app.head("/readyz", response_model=None, include_in_schema=False)
    @app.get("/readyz", response_model=None, responses=openapi.READY)
    async def readyz() -> Response:
        """The node can take requests: NATS has just answered and stored a message, and the streams exist."""
        reason = await lacking()
        if reason is None:
            return _json(200, {"status": "ready"})
        log.debug("not ready", reason=reason)
        return _json(503, {"status": "unready", "reason": "NATS does not answer or store, or streams are missing"})

    @app.head("/metrics", response_model=None, include_in_schema=False)
    @app.get("/metrics", response_model=None, response_class=Response, responses=openapi.METRICS)
    async def exposition() -> Response:
        """Prometheus metrics."""
        return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    openapi.complete(app, openapi.contract(request_service.client.max_text_chars) | schema.components())
    return app


class Api:
    """Handlers of the routes under `/api/`. `_endpoint` turns their exceptions into answers."""

    def __init__(self, request_service: RequestService, node: NodeView, *, legacy: bool) -> None:
        self._request_service = request_service
        self._legacy = legacy
        self._node = node
        self._request_events = RequestEvents(request_service)
        self._audio = audio.AudioRoute(request_service)

    async def convert(self, request: Request) -> Answer:
        """Speak a text to a phone.

        With fire and forget (default: DEFAULT_FIRE_AND_FORGET) the answer comes once the request is stored.
        Otherwise the answer is the final report.
        """
        body, content_type = await body_of(request), request.headers.get("content-type", "")
        fields = old_caller.read_fields(body, content_type, legacy=self._legacy)
        visit: Visit = request.state.visit
        await visit.speaks(fields.get("text"))
        caller = visit.caller.usage_name
        try:
            answer = result(await self._request_service.speak(fields, trace=request.state.span, caller=caller))
        except InvalidRequest as exc:
            if self._legacy:
                raise
            raise old_caller.with_remedy(exc, fields) from None
        return old_caller.old_answer(answer) if self._legacy else answer

    async def report(self, request: Request) -> Answer:
        """The last report of a request, also while the request is in progress."""
        session_id, request_id = ids_of(request, "/api/reports/", "sessionId", "requestId")
        report = await self._request_service.client.report(session_id, request_id)
        if report is None:
            return error(404, "not_found", "no such request within the last hour")
        return Answer(200, report.to_map(), "found")

    async def report_events(self, request: Request) -> Response:
        """The reports of a request and the live progress of its delivery, until its play has ended.

        `event: report` is `{"storedAt", "report"}`, first the stored report, last the final one. `event: progress` is
        how far the delivery over WebSocket is, at most every 250 ms. `event: end` comes last: `played` says whether
        the end of the play was seen. `event: state` and comments are those of `/api/events`.
        """
        session_id, request_id = ids_of(request, "/api/reports/", "sessionId", "requestId", after=EVENTS)
        return await self._request_events.opened(session_id, request_id)

    async def voices(self, _request: Request) -> Answer:
        """The voices of all running synths, by engine. Without a synth the list is empty and `message` says so."""
        return await voices.answer(self._request_service.voices)

    async def cancel(self, request: Request) -> Answer:
        """Barge-in: cancel all earlier requests of the session, or only the request that the body names.

        With `wait` the answer has what was heard of each utterance that the cancel has cut.
        """
        (session_id,) = ids_of(request, "/api/cancel/", "sessionId")
        wait_s = heard.wait_seconds(request.query_params.get("wait"))
        cancel = Cancel.decode(await body_of(request))
        return await heard.cancelled(self._request_service, session_id, cancel, wait_s)

    async def heard(self, request: Request) -> Answer:
        """What was heard of a request, with its text."""
        session_id, request_id = ids_of(request, "/api/heard/", "sessionId", "requestId")
        return await heard.heard(self._request_service, session_id, request_id)

    async def audio(self, request: Request) -> Response:
        """The audio of a request of any transport, complete and in order, while it is made or as long as it is stored.

        If the request is cancelled, the answer ends there. If it fails, the connection is broken off. A finished file
        has a length and an entity tag, and can be read in parts; HEAD gives its headers. With `captions`, the answer is
        a file of timed captions, when the audio has ended.
        """
        session_id, request_id = ids_of(request, "/api/audio/", "sessionId", "requestId")
        if (kind := request.query_params.get("captions")) is not None:
            return await captions.captions(self._request_service, request, session_id, request_id, kind)
        return await self._audio.audio(request, session_id, request_id)

    async def node(self, _request: Request) -> Answer:
        """The node's open requests and newest reports, at most one second old."""
        return Answer(200, await self._node.look(), "found")


def _endpoint(
    request_service: RequestService, admission: CallerAdmission, route: str, handler: Handler, counted: Counted
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        with server_span(request) as span:
            answer = await _answered(request, admission, handler, counted)
            if isinstance(answer, Response):
                outcome = "streaming" if isinstance(answer, StreamingResponse) else "found"
                answered(span, answer.status_code, outcome)
            else:
                answered(span, answer.status, answer.outcome)
        if isinstance(answer, Response):
            request_service.count(route, outcome)
            return answer
        request_service.count(route, answer.outcome)
        return _json(answer.status, answer.body, dict(answer.headers))

    return endpoint


async def _answered(
    request: Request, admission: CallerAdmission, handler: Handler, counted: Counted
) -> Answer | Response:
    try:
        visit = await admission.enter(request, counted, request.state.span)
        if isinstance(visit, Denied):
            headers = {"WWW-Authenticate": "Bearer"} if visit.status == 401 else None
            return error(visit.status, visit.code, visit.message, headers=headers)
        try:
            return await handler(request)
        finally:
            await visit.end()
    except Refused as exc:
        return exc.answer
    except OrastreamError as exc:
        answer = problem(exc)
        if answer.status >= 500:
            log.warning("a request could not be served", outcome=answer.outcome, error=str(exc))
        return answer
    except ClientDisconnect:
        return error(400, "disconnected", "the connection ended before the end of the body")
    except Exception:  # noqa: BLE001 - an error in one request must not end the gateway: it is logged and answered
        log.exception("a request met an error of ours")
        return internal()


async def _no_such_route(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = "not_found" if exc.status_code == 404 else "method_not_allowed" if exc.status_code == 405 else "refused"
    headers = {name.lower(): value for name, value in (exc.headers or {}).items()}
    answer = in_form_of(request.scope["path"], error(exc.status_code, code, exc.detail, headers=headers))
    return _json(answer.status, answer.body, headers)


def _json(status: int, body: codec.Map, headers: dict[str, str] | None = None) -> Response:
    return Response(codec.encode(body, "json"), status, headers, "application/json")
