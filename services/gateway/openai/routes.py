"""`/v1/audio/speech` and `/v1/models`, for tools made for OpenAI's API. The caller gets the audio in the answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from orastream.client.complete_audio import SpeechFailed
from orastream.contract import codec
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.codec import Map
from orastream.contract.errors import (
    InvalidRequest,
    NodeUnavailable,
    OrastreamError,
    Overloaded,
    PublishRefused,
    WaitTimeout,
)
from orastream.traces import Span
from services.gateway.access.admission import CallerAdmission, Counted
from services.gateway.access.policy import Denied
from services.gateway.audio_stream import listen
from services.gateway.http.openapi import secured
from services.gateway.http.request_body import body_of
from services.gateway.http.responses import RETRY_UNAVAILABLE_S, Refused
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.http.tracing import answered, server_span
from services.gateway.openai import schema
from services.gateway.openai.error_form import in_openai_form
from services.gateway.openai.request import MODELS, SpeechRequest, delta_event, error_body, is_own_engine, read_speech
from services.gateway.request_service import RequestService

ROUTE, MODELS_ROUTE = "openai-speech", "openai-models"

ALL_SKIPPED = "has nothing to say outside of tags and of what this node leaves out (TTS_SKIP_TAGS)"
_STARTED_AT_S = int(time.time())

log = structlog.get_logger()

Messages = AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]


def add_routes(app: FastAPI, request_service: RequestService, admission: CallerAdmission) -> None:
    """Serve OpenAI's speech API from `app`."""
    asks = secured(admission.asks)

    @app.post(
        "/v1/audio/speech",
        name="speech",
        response_model=None,
        response_class=StreamingResponse,
        openapi_extra=schema.SPEECH_BODY | asks,
        responses=schema.SPEECH,
    )
    async def speech(request: Request) -> Response:
        """Speak a text to the caller, in OpenAI's form. The audio is streamed while it is made."""
        span = server_span(request)
        try:
            response, outcome = await _speech(request_service, admission, request, span)
        except BaseException:
            span.end()
            raise
        answered(span, response.status_code, outcome)
        if not isinstance(response, StreamingResponse):
            span.end()  # that of a streamed answer ends with its last byte
        request_service.count(ROUTE, outcome)
        return response

    @app.get("/v1/models", response_model=None, responses=schema.MODELS_LIST, openapi_extra=asks)
    async def models(request: Request) -> Response:
        """The models that `/v1/audio/speech` takes, in OpenAI's form."""

        async def listed() -> tuple[Response, str]:
            names = await _model_names(request_service)
            return _json(200, {"object": "list", "data": [_model(name) for name in names]}), "found"

        return await _of_models(request_service, admission, request, listed)

    @app.get("/v1/models/{model}", response_model=None, responses=schema.ONE_MODEL, openapi_extra=asks)
    async def model(model: str, request: Request) -> Response:
        """One model, in OpenAI's form."""

        async def found() -> tuple[Response, str]:
            if is_own_engine(model) or model in await _model_names(request_service):
                return _json(200, _model(model)), "found"
            text = f"there is no model {model!r}; see /v1/models"
            return _json(404, error_body(404, text, code="model_not_found", param="model")), "not_found"

        return await _of_models(request_service, admission, request, found)


async def _speech(
    request_service: RequestService, admission: CallerAdmission, request: Request, span: Span
) -> tuple[Response, str]:
    try:
        visit = await admission.enter(request, Counted.SPEECH, span)
        if isinstance(visit, Denied):
            return _denied(visit), visit.code
        try:
            asked = read_speech(await body_of(request))
            await visit.speaks(asked.fields["text"])
        finally:
            await visit.end()
        messages = listen(request_service, asked.fields, trace=span, caller=visit.caller.usage_name)
        try:
            first = await anext(messages)  # waits for audio: errors before it can still be answered by a status
            while isinstance(first, AudioStart):
                first = await anext(messages)
            if isinstance(first, AudioEnd) and not first.total_chunks:
                raise InvalidRequest("input", ALL_SKIPPED)
        except BaseException:
            await messages.aclose()
            raise
    except Exception as exc:  # noqa: BLE001 - an error in one request must not end the gateway: it is logged and answered
        return _problem(exc)
    pieces = _plain(first, messages)
    if asked.stream_format == "sse":
        pieces = _sse(first, messages, asked.fields["text"])
    return _streaming(_within(span, pieces), asked), "streaming"


def _streaming(pieces: AsyncIterator[bytes], asked: SpeechRequest) -> Response:
    media = "text/event-stream" if asked.stream_format == "sse" else asked.media_type
    return LiveResponse(pieces, media)


async def _within(span: Span, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the pieces, and end the span after the last one or on an error."""
    with span:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece


async def _plain(first: AudioChunk | AudioEnd, messages: Messages) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the file. Raises BrokenOff on a failure: HTTP has no other way to show it."""
    try:
        async with contextlib.aclosing(_chunks(first, messages)) as chunks:
            async for chunk in chunks:
                yield chunk.audio
    except (SpeechFailed, OrastreamError) as exc:
        raise BrokenOff(str(exc)) from exc


async def _sse(first: AudioChunk | AudioEnd, messages: Messages, text: str) -> AsyncGenerator[bytes, None]:
    """Yield the audio of `text` as server-sent events: `speech.audio.delta`, then `speech.audio.done` or `error`."""
    try:
        async with contextlib.aclosing(_chunks(first, messages)) as chunks:
            async for chunk in chunks:
                yield _event(delta_event(chunk, text))
    except (SpeechFailed, OrastreamError) as exc:
        log.warning("speech broke off while it was streamed to its caller", error=str(exc))
        code = exc.error.code if isinstance(exc, SpeechFailed) else exc.code
        yield _event({"type": "error", **error_body(500, str(exc), code=code)})
        return
    # The node counts no tokens, but clients expect the field.
    yield _event({"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}})


async def _chunks(first: AudioChunk | AudioEnd, messages: Messages) -> AsyncGenerator[AudioChunk, None]:
    async with contextlib.aclosing(messages):
        if isinstance(first, AudioChunk):
            yield first
            async for message in messages:
                if isinstance(message, AudioChunk):
                    yield message


def _event(value: Map) -> bytes:
    return b"data: " + codec.encode(value, "json") + b"\n\n"


def _problem(exc: Exception) -> tuple[Response, str]:
    match exc:
        case InvalidRequest():
            return _json(400, error_body(400, str(exc), code=exc.code, param=exc.field)), exc.code
        case SpeechFailed():
            status = 400 if exc.error.code == "invalid_request" else 502
            param = exc.error.message.partition(":")[0] if status == 400 else None
            return _json(status, error_body(status, exc.error.message, code=exc.error.code, param=param)), "failed"
        case Overloaded():
            body = error_body(429, str(exc), code=exc.code)
            return _json(429, body, {"Retry-After": str(exc.retry_after_s)}), exc.code
        case WaitTimeout():
            text = f"no audio within {exc.waited_s:g} s; is a synth running?"
            return _json(504, error_body(504, text, code="wait_timeout")), "wait_timeout"
        case NodeUnavailable() | PublishRefused():
            body = error_body(503, "the node does not answer; try again", code="unavailable")
            return _json(503, body, {"Retry-After": str(RETRY_UNAVAILABLE_S)}), "unavailable"
        case Refused():
            answer = in_openai_form(exc.answer)
            return _json(answer.status, answer.body, dict(answer.headers)), answer.outcome
        case ClientDisconnect():
            return _json(
                400, error_body(400, "the connection ended before the end of the body", code="disconnected")
            ), "gone"
        case _:
            log.error("a request under /v1 met an error of ours", exc_info=exc)
            return _json(500, error_body(500, "an error of the gateway; see its log", code="internal")), "internal"


async def _of_models(
    request_service: RequestService,
    admission: CallerAdmission,
    request: Request,
    handler: Callable[[], Awaitable[tuple[Response, str]]],
) -> Response:
    """The answer of `handler` to a request that is admitted, else why it is not. Counts it."""
    try:
        visit = await admission.enter(request, Counted.EACH)
        response, outcome = (_denied(visit), visit.code) if isinstance(visit, Denied) else await handler()
    except Exception as exc:  # noqa: BLE001 - an error in one request must not end the gateway: it is logged and answered
        response, outcome = _problem(exc)
    request_service.count(MODELS_ROUTE, outcome)
    return response


def _denied(denied: Denied) -> Response:
    if denied.status != 401:
        return _json(denied.status, error_body(denied.status, denied.message, code=denied.code))
    text = "Authorization: Bearer <key> is required; it is one of GATEWAY_API_KEYS"
    headers = {"WWW-Authenticate": "Bearer"}
    return _json(401, error_body(401, text, code="invalid_api_key"), headers)


async def _model_names(request_service: RequestService) -> list[str]:
    """The names in MODELS, then the engines of the running synths."""
    engines: set[str] = set()
    with contextlib.suppress(NodeUnavailable):
        engines = {voice.engine for voice in await request_service.voices.get()}
    return [*MODELS, *sorted(engines - set(MODELS))]


def _model(name: str) -> Map:
    return {"id": name, "object": "model", "created": _STARTED_AT_S, "owned_by": "orastream"}


def _json(status: int, body: Map, headers: dict[str, str] | None = None) -> Response:
    return Response(codec.encode(body, "json"), status, headers, "application/json")
