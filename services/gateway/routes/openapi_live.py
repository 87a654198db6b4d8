"""The parts of `/openapi.json` about voices, audio, events and the node."""

from __future__ import annotations

from pydantic import BaseModel, Field

from orastream.contract import schemas
from orastream.contract.codec import Map
from orastream.contract.messages import Report
from services.gateway.captions.caption_files import CAPTION_FILES
from services.gateway.http.openapi import REFUSALS, ErrorBody, Responses, path_ids, responses
from services.gateway.routes.audio import MEDIA


class VoiceBody(BaseModel):
    """A voice. Requests use its `name`, and `engine` for its engine."""

    name: str
    language: str = Field(description="BCP 47")
    sampleRate: int = Field(description="Hz")
    engine: str
    version: str = Field(description="changes whenever the same request may sound different")


class VoicesBody(BaseModel):
    """The voices of the node."""

    voices: list[VoiceBody]
    message: str | None = Field(None, description="why there is none: no synth is running")


class EventBody(BaseModel):
    """A report and when it was stored; `queued` for a request without a report."""

    storedAt: float = Field(description="unix seconds of the NATS server's clock")
    report: Report


class LineBody(EventBody):
    """A request with its newest report."""

    requestedAt: float | None = Field(
        None, description="when the request was stored; only for requests that are not final"
    )


class RequestCounts(BaseModel):
    """The numbers of open requests."""

    waiting: int = Field(description="requests not yet delivered to a synth")
    inWork: int = Field(description="requests delivered to a synth and not yet acked")
    stored: int = Field(description="requests that are not final, and cancels not applied yet")
    oldestStoredAt: float | None = Field(description="when the oldest request that is not final was stored")


class SynthBody(BaseModel):
    """The state of the synths, read from their consumer."""

    asksForWork: bool = Field(description="at least one synth has room now")


class AudioBody(BaseModel):
    """The stream that holds the audio."""

    bytes: int
    maxBytes: int


class LimitsBody(BaseModel):
    """The limits of a request."""

    textChars: int = Field(description="TTS_MAX_TEXT_CHARS: characters of a text")


class NodeBody(BaseModel):
    """The state of the node. `lines`: the 100 oldest requests that are not final, and about 50 newest reports."""

    asOf: float = Field(description="unix seconds of the NATS server's clock")
    reports: int = Field(description="sequence of the newest report included here; compare with `hello` of /api/events")
    requests: RequestCounts
    synth: SynthBody
    bridges: dict[str, int] = Field(description="living bridges of each kind")
    audio: AudioBody
    limits: LimitsBody
    lines: list[LineBody]
    complete: bool = Field(description="every request that is not final is among the lines")


_COMMON = {status: REFUSALS[status] for status in (401, 403, 429, 500, 503)}
VOICES = responses({200: (VoicesBody, "the voices of all running synths")}, _COMMON)
NODE = responses({200: (NodeBody, "the state of the node")}, _COMMON)
AUDIO: Responses = {
    200: {
        "description": "the file, streamed while it is made. `X-Audio-Format` is its format, `X-Sample-Rate` in Hz. "
        "With `captions`: the captions; `X-Audio-Status` is complete, cancelled or failed, `X-Caption-Times` is words, "
        "or estimated if some times are in proportion to the characters",
        "content": {
            **{media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(MEDIA.values())},
            **{media.partition(";")[0]: {"schema": {"type": "string"}} for media, _ in CAPTION_FILES.values()},
        },
    },
    204: {"description": "the text has nothing to say, so that there is no file"},
    206: {
        "description": "the part of a finished file that `Range` names; `Content-Range` says which",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(MEDIA.values())},
    },
    304: {"description": "`If-None-Match` names the finished file"},
    504: {"model": ErrorBody, "description": "no audio came for GATEWAY_WAIT_SECONDS"},
    **responses(
        {
            404: (ErrorBody, "no such request within the last hour"),
            409: (ErrorBody, "the request was cancelled before it had any audio"),
            410: (ErrorBody, "its audio is no longer stored"),
            412: (ErrorBody, "`If-Match` names another file than the finished one"),
            416: (ErrorBody, "`Range` begins behind the end of the finished file"),
            422: (ErrorBody, "an id or `captions` is not valid, or the request failed as `invalid_request`"),
            502: (ErrorBody, "the request failed before it had any audio"),
        },
        _COMMON,
    ),
}
AUDIO_PARAMETERS: Map = {
    "parameters": [
        *path_ids("sessionId", "requestId")["parameters"],
        {
            "name": "captions",
            "in": "query",
            "schema": {"type": "string", "enum": list(CAPTION_FILES)},
            "description": "the timed captions of the audio as WebVTT or SubRip, instead of the audio",
        },
        {
            "name": "Range",
            "in": "header",
            "schema": {"type": "string"},
            "description": "one range of bytes of a finished file; anything else gives the whole file",
        },
    ]
}
_EVENT: Map = {
    "type": "object",
    "description": "Each event: `hello`, then `report` with {storedAt, report}, `heard` with {storedAt, heard}, and "
    "`state` with {available}, as JSON.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
EVENTS: Responses = {
    200: {
        "description": "`event: hello`, then `event: report` with `{storedAt, report}` for each report that is stored; "
        "`event: heard` with `{storedAt, heard}` for each record of what was heard, which contains text; "
        "`event: state` with `{available}` when NATS is lost and when it is back",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    **responses(_COMMON, {422: REFUSALS[422]}),
}
_REQUEST_EVENT: Map = {
    "type": "object",
    "description": "Each event: `hello`, then `report` with {storedAt, report}, `progress`, `state` with {available}, "
    "and last `end` with {played}, as JSON.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
REQUEST_EVENTS: Responses = {
    200: {
        "description": "`event: report` with `{storedAt, report}`: the stored report, and each one that replaces it; "
        "`event: progress` (docs/reference/progress.md) while it is delivered over WebSocket and plays; `event: end`",
        "content": {"text/event-stream": {"schema": _REQUEST_EVENT}},
    },
    **responses({404: (ErrorBody, "no such request within the last hour")}, _COMMON, {422: REFUSALS[422]}),
}
EVENTS_PARAMETERS: Map = {
    "parameters": [
        {"name": "session", "in": "query", "schema": schemas.IDENTIFIER, "description": "only events of this session"},
        {
            "name": "Last-Event-ID",
            "in": "header",
            "schema": {"type": "string"},
            "description": "id of the last received event; events resume after it",
        },
    ]
}
