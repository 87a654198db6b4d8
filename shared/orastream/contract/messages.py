"""Requests, cancels and reports: the JSON or msgpack messages of the contract (docs/reference/protocol.md). Pure.

Types are not coerced. null means absent. Unknown fields are ignored. A validation error becomes an `InvalidRequest`
that names the field as on the wire and never contains the spoken text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orastream.base.foreign_text import MAX_MESSAGE_CHARS, cleaned
from orastream.contract import codec, ssml, subjects
from orastream.contract.audio import FORMATS, RATES_HZ, Format
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import RETRYABLE, Code, InvalidRequest, known_code
from orastream.contract.names import DEFAULT, Names
from orastream.contract.pronunciations import Pronunciations
from orastream.contract.request_problems import MAX_NAME_CHARS, first_problem, integral, misspelt
from orastream.contract.surrogates import whole_characters

Transport = Literal["websocket", "http", "none"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
Status = Literal["queued", "synthesizing", "delivering", "delivered", "failed", "cancelled", "expired"]
FINAL: frozenset[Status] = frozenset({"delivered", "failed", "cancelled", "expired"})

DEFAULT_LANGUAGE = "ko-KR"
DEFAULT_TTL_S, MIN_TTL_S, MAX_TTL_S = 30.0, 1, 3600
DEFAULT_IDLE_S = 10.0
DEFAULT_MAX_TEXT_CHARS = 5_000
MIN_SPEED, MAX_SPEED = 0.5, 2.0
MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 8_000, 48_000


def _unicode(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("contains a lone surrogate; send valid Unicode") from None
    return value


def _identifier(value: str) -> str:
    try:
        return subjects.check_id(value, "id")
    except InvalidRequest as exc:
        raise ValueError(exc.problem) from None


def _request_id(value: str) -> str:
    try:
        return subjects.check_request_id(value)
    except InvalidRequest as exc:
        raise ValueError(exc.problem) from None


def _format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"must be one of {', '.join(FORMATS)}")
    return value


def _check_text(request: SpeakRequest, max_chars: int) -> None:
    if len(request.text) > max_chars:
        raise InvalidRequest("text", f"has {len(request.text)} characters, at most {max_chars} are spoken; split it")
    if request.redeliver_of is not None and request.text_stream:
        raise InvalidRequest("textStream", "cannot be combined with redeliverOf, which has its text; leave one out")
    if request.redeliver_of is not None:
        return
    if request.ssml and request.text_stream:
        raise InvalidRequest("ssml", "cannot be checked before the text is complete; leave out ssml or textStream")
    if request.ssml:
        ssml.parse(request.text)
    elif not request.text_stream and not sayable(request.text):  # a text stream may begin without a letter
        raise InvalidRequest("text", NOTHING_TO_SAY)


def _check_rate(rate_hz: int | None, fmt: Format | None) -> None:
    if rate_hz is not None and fmt is not None and (rates := RATES_HZ.get(fmt)) and rate_hz not in rates:
        raise InvalidRequest("sampleRate", f"{fmt} takes {', '.join(map(str, rates))}; leave it out for the best one")


Payload = bytes
"""Another name for `bytes`, which the field `Report.bytes` hides inside the class."""
Text = Annotated[str, AfterValidator(_unicode)]
WholeText = Annotated[str, AfterValidator(whole_characters)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(_unicode)]
Identifier = Annotated[str, AfterValidator(_identifier)]


class _Wire(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class SpeakRequest(_Wire):
    """A request to speak a text to a phone. An optional field that is None takes the node's setting."""

    text: WholeText = ""
    """The whole text; its beginning if `text_stream`. U+FFFD replaces half of a surrogate pair alone."""
    ssml: bool = False
    session_id: Identifier = Field(alias="sessionId")
    phone_id: Identifier = Field(alias="phoneId")
    request_id: Annotated[str, AfterValidator(_request_id)] | None = Field(None, alias="requestId")
    use_websocket: bool | None = None
    transport: Transport | None = None
    fire_and_forget: bool | None = None
    engine: Name | None = None
    voice: Name | None = None
    language: Name = DEFAULT_LANGUAGE
    speed: float = Field(1.0, ge=MIN_SPEED, le=MAX_SPEED)
    format: Annotated[str, AfterValidator(_format)] | None = None
    """None: synth chooses it (`DELIVERY_FORMAT`)."""
    sample_rate: Annotated[int | None, BeforeValidator(integral)] = Field(
        None, alias="sampleRate", ge=MIN_SAMPLE_RATE_HZ, le=MAX_SAMPLE_RATE_HZ
    )
    ttl_seconds: float = Field(DEFAULT_TTL_S, alias="ttlSeconds", ge=MIN_TTL_S, le=MAX_TTL_S)
    reply_to: str | None = Field(None, alias="replyTo")
    text_stream: bool = Field(False, alias="textStream")
    """The text comes in pieces, on a subject of the request (`text_pieces`)."""
    idle_seconds: float = Field(DEFAULT_IDLE_S, alias="idleSeconds", ge=1, le=60)
    """Seconds without a new piece after which the text ends as stalled."""
    redeliver_of: Identifier | None = Field(None, alias="redeliverOf")
    """Deliver the stored audio of that request of the session again. The other fields about speech are ignored."""
    supersede: bool = False
    """Cancel everything that the session asked before it, from its own sequence (`superseding`)."""
    pronunciations: Pronunciations | None = None
    """How to say words: word → reading, before those of the node's lexicon."""

    @property
    def stated_transport(self) -> Transport | None:
        """The transport that the request names, or None. `transport` overrides `use_websocket`."""
        if self.transport is not None:
            return self.transport
        if self.use_websocket is None:
            return None
        return "websocket" if self.use_websocket else "http"

    @property
    def stated_format(self) -> Format | None:
        """The format that the request names, or None. Validation has checked that it is one of FORMATS."""
        return cast(Format | None, self.format)

    def spoken_with(self, engine: str) -> bool:
        """Whether a node that speaks with `engine` can speak it: it names no other engine."""
        return self.engine is None or self.engine.lower() == engine.lower()

    def to_map(self) -> Map:
        """Return the request's fields as on the wire, without absent ones."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)


_FIELDS = {field.alias or name: field for name, field in SpeakRequest.model_fields.items()}
NOTHING_TO_SAY = "has nothing to say; send at least one letter or digit"


def sayable(text: str) -> bool:
    """Whether `text` contains a letter or a digit."""
    return any(ch.isalnum() for ch in text)


def parse_request(
    value: Map,
    *,
    session: str | None = None,
    max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
    names: Names = DEFAULT,
) -> SpeakRequest:
    """Return the request in a decoded map. Raises InvalidRequest.

    `session` is the session token of the request's subject: `sessionId` must have that token. `names` are those of the
    node: `replyTo` must be an inbox or one of its subjects.
    """
    if value.get("text") is None and value.get("textStream") is not True and value.get("redeliverOf") is None:
        raise InvalidRequest("text", f"is required{misspelt('textStream', value)}")
    try:
        request = SpeakRequest.model_validate(value, by_alias=True, by_name=False)  # wire names only
    except ValidationError as exc:
        raise first_problem(exc, value, _FIELDS) from None
    _check_text(request, max_text_chars)
    if request.reply_to is not None and not names.reply_allowed(request.reply_to):
        raise InvalidRequest("replyTo", f"must be a literal subject under _INBOX. or {names.front}.reply.")
    if request.redeliver_of is None:
        _check_rate(request.sample_rate, request.stated_format)
    if session is not None and subjects.token(request.session_id) != session:
        raise InvalidRequest("sessionId", "is not the session of the subject it was published on")
    return request


class ReportError(BaseModel):
    """Why a request failed: a stable code, a message for people, and whether the caller may try again."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[Code, BeforeValidator(known_code)]
    message: str
    retryable: bool

    @classmethod
    def of(cls, code: Code, message: str) -> ReportError:
        """Return the error with the `retryable` of its code. The message is cleaned: it may quote a foreign text."""
        return cls(code=code, message=cleaned(message, MAX_MESSAGE_CHARS), retryable=RETRYABLE[code])


class Report(BaseModel):
    """State of a request: live progress, the answer to a sync caller, and the checkpoint of the delivering bridge."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    request_id: str = Field(alias="requestId")
    session_id: str = Field(alias="sessionId")
    phone_id: str | None = Field(None, alias="phoneId")
    request_seq: int = Field(alias="requestSeq")
    epoch: int = 0
    """Epoch of the bridge's ownership: a lower one must not overwrite it. 0 until a bridge writes."""
    status: Status
    transport: Transport | None = None
    total_chunks: int | None = Field(None, alias="totalChunks")
    delivered_chunks: int = Field(0, alias="deliveredChunks")
    bytes: int = 0
    audio_seconds: float = Field(0.0, alias="audioSeconds")
    """Of the delivered audio: its bytes before base64, and its duration in seconds."""
    sent_seconds: float = Field(0.0, alias="sentSeconds")
    """Duration of the audio that was written to OraServer, confirmed or not; 0 from nodes that do not send it yet."""
    first_audio_ms: float | None = Field(None, alias="firstAudioMs")
    transfer_ms: float | None = Field(None, alias="transferMs")
    rtf: float | None = None
    """Seconds of synthesis for one second of speech. None until `end` is stored."""
    underruns: int = 0
    underrun_ms: float = Field(0.0, alias="underrunMs")
    """How often a receiver that plays in real time had to wait for audio so far, and for how many ms in all."""
    reconnects: int = 0
    retransmitted: int = 0
    skipped_bytes: int = Field(0, alias="skippedBytes")
    """Delivered bytes that OraServer has left out, because their play time had passed (protocol v2)."""
    error: ReportError | None = None
    fallback: Transport | None = None
    """The transport that delivers it, if `transport` did not work (DELIVERY_FALLBACK)."""
    redeliver_of: Text | None = Field(None, alias="redeliverOf")
    """The request whose audio it delivers again."""
    caller: str | None = None
    """Who sent the request, if that is known; see `contract/caller.py`."""
    characters: int | None = None
    """Length of the text. None until a streamed text is complete."""

    @property
    def final(self) -> bool:
        """Whether the status is final: the report will not change any more."""
        return self.status in FINAL

    def with_(self, **changes: Any) -> Report:
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)

    def to_map(self) -> Map:
        """Return all fields of the report as on the wire, absent ones as None."""
        return self.model_dump(by_alias=True)

    def encode(self, encoding: Encoding) -> Payload:
        """Encode the report. `encoding` is that of its request."""
        return codec.encode(self.to_map(), encoding)

    @classmethod
    def decode(cls, payload: Payload) -> Report:
        """Decode a report. Raises Undecodable or ValueError."""
        return cls.model_validate(codec.decode(payload), by_alias=True, by_name=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancels all requests of the session that were stored before it, or only `request_id` of them (barge-in)."""

    request_id: str | None = None

    def encode(self) -> bytes:
        """Encode the cancel as JSON."""
        return codec.encode({} if self.request_id is None else {"requestId": self.request_id}, "json")

    @classmethod
    def decode(cls, payload: bytes) -> Cancel:
        """Decode a cancel. Raises InvalidRequest for a bad `requestId`: it must not become a cancel of all requests."""
        value = codec.decode(payload).get("requestId") if payload else None
        if value is None:
            return cls()
        if not isinstance(value, str):
            raise InvalidRequest("requestId", "has the wrong type: must be a string")
        return cls(subjects.check_id(value, "requestId"))

    def covers(self, request_token: str) -> bool:
        """Whether it cancels all requests, or the one with this token."""
        return self.request_id is None or subjects.token(self.request_id) == request_token
