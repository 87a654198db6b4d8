"""The parts of `/openapi.json` about the operations in OpenAI's form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from orastream.contract.codec import Map
from orastream.contract.messages import MAX_SPEED, MIN_SPEED
from orastream.contract.schemas import PRONUNCIATIONS, REF
from services.gateway.http.openapi import REFUSALS, Responses, json_body, reference, responses
from services.gateway.openai.request import MEDIA


class SpeechErrorDetail(BaseModel):
    """An error in OpenAI's form; `code` is one of the node's codes."""

    message: str
    type: Literal["invalid_request_error", "authentication_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str


class SpeechErrorBody(BaseModel):
    """An error answer."""

    error: SpeechErrorDetail


class Model(BaseModel):
    """A name that `/v1/audio/speech` takes as `model`."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[Model]


_DENIED = {status: (SpeechErrorBody, REFUSALS[status][1]) for status in (401, 403, 429)}

_EVENT: Map = {
    "type": "object",
    "description": "Each event: speech.audio.delta with base64 `audio` and, if words end in it, `words` with "
    "{text, from, to, begin_ms, end_ms} each; then speech.audio.done; or error.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
SPEECH: Responses = responses(
    _DENIED,
    {
        400: (SpeechErrorBody, "`error.param` is wrong"),
        408: (SpeechErrorBody, "the body did not arrive in time"),
        413: (SpeechErrorBody, "the body is larger than 1 MiB"),
        429: (SpeechErrorBody, "no room now, or a limit of the caller is reached; see Retry-After"),
        500: (SpeechErrorBody, "an error of the gateway"),
        502: (SpeechErrorBody, "the engine could not speak it"),
        503: (SpeechErrorBody, "the node does not answer; see Retry-After"),
    },
) | {504: {"model": SpeechErrorBody, "description": "no audio within GATEWAY_WAIT_SECONDS"}}
SPEECH[200] = {
    "description": "the audio, streamed while it is made; as events with `stream_format` sse",
    "content": {
        **{media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(MEDIA.values())},
        "text/event-stream": {"schema": _EVENT},
    },
}
MODELS_LIST = responses({200: (ModelList, "the models")}, _DENIED)
ONE_MODEL = responses({200: (Model, "the model"), 404: (SpeechErrorBody, "there is no model of that name")}, _DENIED)


Name = Annotated[str, Field(min_length=1, max_length=64)]


class VoiceId(BaseModel):
    """A voice by its id."""

    id: Name | None = None


class SpeechBody(BaseModel):
    """The body of a speech request."""

    model: str = Field(
        min_length=1, max_length=64, description="tts-1 and others: the node's engine; else the name of an engine"
    )
    input: str = Field(min_length=1, description="what to say; at least one letter or digit")
    voice: Name | VoiceId | None = Field(None, description="alloy and OpenAI's others: the engine's own voice")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = "mp3"
    speed: float | None = Field(1.0, ge=MIN_SPEED, le=MAX_SPEED)
    stream_format: Literal["audio", "sse"] | None = "audio"
    language: Name | None = Field(None, description="BCP 47; absent: Korean for a text with Hangul, else English")
    pronunciations: dict[str, str] | None = Field(
        None,
        description="how to say words, by the word as it is written",
        json_schema_extra=PRONUNCIATIONS,
    )


SPEECH_BODY = json_body(reference("SpeechBody"), required=True)


def components() -> dict[str, Map]:
    """The schemas of the request bodies, by name."""
    _, definitions = models_json_schema([(SpeechBody, "validation")], ref_template=REF)
    found: dict[str, Map] = definitions["$defs"]
    return found
