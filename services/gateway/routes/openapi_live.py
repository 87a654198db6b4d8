"""What `/openapi.json` tells of the gateway's live endpoints: voices, audio, events, the node."""

from __future__ import annotations

from pydantic import BaseModel, Field

from orastream.contract import schemas
from orastream.contract.codec import Map
from orastream.contract.messages import Report
from services.gateway.http.openapi import REFUSALS, ErrorBody, Responses, responses
from services.gateway.routes.audio import MEDIA


class VoiceBody(BaseModel):
    """A voice, by the names that requests use for it and for its engine."""

    name: str
    language: str = Field(description="BCP 47")
    sampleRate: int = Field(description="Hz")
    engine: str
    version: str = Field(description="changes whenever the same request may sound different")


class VoicesBody(BaseModel):
    """What the node can speak."""

    voices: list[VoiceBody]
    message: str | None = Field(None, description="why there is none: no synth is running")


class EventBody(BaseModel):
    """A report as it was stored; `queued` for a request that was stored just now."""

    storedAt: float = Field(description="unix seconds of the NATS server's clock")
    report: Report


class LineBody(EventBody):
    """A request as it stands."""

    requestedAt: float | None = Field(None, description="when it was stored; of requests that are not final")


class RequestCounts(BaseModel):
    """What there is to do."""

    waiting: int = Field(description="requests that no synth has been handed yet")
    inWork: int = Field(description="requests that a synth has been handed and has not done with")
    stored: int = Field(description="requests that are not final, and cancels not applied yet")
    oldestStoredAt: float | None = Field(description="when the oldest request that is not final was stored")


class SynthBody(BaseModel):
    """What can be known of synths from outside."""

    asksForWork: bool = Field(description="at least one synth has room now")


class AudioBody(BaseModel):
    """The stream that holds the audio."""

    bytes: int
    maxBytes: int


class LimitsBody(BaseModel):
    """What a request may have at most."""

    textChars: int = Field(description="TTS_MAX_TEXT_CHARS: characters of a text")


class NodeBody(BaseModel):
    """The node at a time. `lines` are the 100 oldest requests that are not final and some 50 reports written last."""

    asOf: float = Field(description="unix seconds of the gateway's clock")
    reports: int = Field(description="sequence of the newest report counted in; compare with `hello` of /api/events")
    requests: RequestCounts
    synth: SynthBody
    bridges: dict[str, int] = Field(description="living bridges of each kind")
    audio: AudioBody
    limits: LimitsBody
    lines: list[LineBody]
    complete: bool = Field(description="every request that is not final is among the lines")


_TOLD = {status: REFUSALS[status] for status in (401, 403, 500, 503)}
VOICES = responses({200: (VoicesBody, "the voices of all synths that run")}, _TOLD)
NODE = responses({200: (NodeBody, "as it is now")}, _TOLD)
AUDIO: Responses = {
    200: {
        "description": "the file, while it is made. `X-Audio-Format` is the request's, `X-Sample-Rate` in Hz",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(MEDIA.values())},
    },
    504: {"model": ErrorBody, "description": "for GATEWAY_WAIT_SECONDS no audio came"},
    **responses(
        {
            404: (ErrorBody, "no such request within the last hour"),
            409: (ErrorBody, "it was cancelled before it was heard"),
            410: (ErrorBody, "its audio is not kept any more"),
            422: (ErrorBody, "an id is none, or the request failed as one that cannot be spoken"),
            502: (ErrorBody, "it failed before it was heard"),
        },
        _TOLD,
    ),
}
_EVENT: Map = {
    "type": "object",
    "description": "Each event: `hello`, then `report` with {storedAt, report}, and `state` with {available}, as JSON.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
EVENTS: Responses = {
    200: {
        "description": "`event: hello`, then `event: report` with `{storedAt, report}` for each report that is stored; "
        "`event: state` with `{available}` when the node is lost and when it is back",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    **responses(_TOLD, {422: REFUSALS[422]}),
}
EVENTS_PARAMETERS: Map = {
    "parameters": [
        {"name": "session", "in": "query", "schema": schemas.IDENTIFIER, "description": "only of this session"},
        {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "go on behind it"},
    ]
}
