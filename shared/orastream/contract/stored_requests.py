"""Decodes the messages of TTS_SESSIONS: stored requests and stored cancels. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Protocol, get_args

from orastream.contract import caller, codec, subjects
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import (
    DEFAULT_TTL_S,
    MAX_TTL_S,
    MIN_TTL_S,
    Cancel,
    Report,
    ReportError,
    SpeakRequest,
    Status,
    Transport,
    parse_request,
    sayable,
)
from orastream.contract.names import Names
from orastream.contract.trace_context import NOTHING, Carrier, Origin, origin_of

_TAG_BEGINS = re.compile(r"[<\[]")


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request in the stream. Exactly one of `request` and `problem` is set.

    `session` and `token` are subject tokens. `stored_at_s` is in unix seconds of the server's clock.
    """

    sequence: int
    session: str
    token: str
    request_id: str
    session_id: str
    phone_id: str | None
    reply_to: str | None
    encoding: Encoding
    stored_at_s: float
    request: SpeakRequest | None
    problem: InvalidRequest | None
    trace: Carrier | Origin = field(default_factory=lambda: NOTHING, compare=False)
    """The publisher's trace context, from the headers; without one, the origin of a new trace."""
    caller: str = caller.UNKNOWN
    """Who sent it: an account or a name; see `contract/caller.py`."""

    @property
    def ttl_s(self) -> float:
        """Seconds after `stored_at_s` after which an unclaimed request expires."""
        return self.request.ttl_seconds if self.request else DEFAULT_TTL_S

    @property
    def stated_transport(self) -> Transport | None:
        """The transport that the request names, or None."""
        return self.request.stated_transport if self.request else None

    @property
    def may_be_silent(self) -> bool:
        """Whether its audio may be complete without a chunk, because its text has nothing to say.

        Known only when it ends of a text stream, and of a text that begins with what may be a tag, as `<think>` or
        `[INST]`. A `redeliverOf` may name such a request. All other requests are refused if they have nothing to say.
        """
        request = self.request
        if request is None or (request.ssml and request.redeliver_of is None):
            return False
        return request.redeliver_of is not None or not sayable(_TAG_BEGINS.split(request.text, maxsplit=1)[0])

    @property
    def _characters(self) -> int | None:
        return None if self.request is None or self.request.text_stream else len(self.request.text)

    def report(self, status: Status, *, transport: Transport | None = None, error: ReportError | None = None) -> Report:
        """Return a new report of this request. `transport` None: the one that the request names."""
        return Report(
            request_id=self.request_id,
            session_id=self.session_id,
            phone_id=self.phone_id,
            request_seq=self.sequence,
            status=status,
            transport=transport or self.stated_transport,
            redeliver_of=self.request.redeliver_of if self.request else None,
            caller=self.caller or None,
            characters=self._characters,
            error=error,
        )


@dataclass(frozen=True, slots=True)
class StoredCancel:
    """A cancel in the stream. `cancel` is None if it could not be decoded: it then cancels nothing.

    `stored_at_s` is in unix seconds of the server's clock.
    """

    sequence: int
    session: str
    stored_at_s: float
    cancel: Cancel | None

    @classmethod
    def of_session(cls, sequence: int, session: str, stored_at_s: float) -> StoredCancel:
        """Return the cancel of the whole session stored at `sequence`."""
        return cls(sequence, session, stored_at_s, Cancel())

    def covers(self, sequence: int, token: str) -> bool:
        """Whether it cancels the request stored at `sequence` whose id has `token`."""
        return self.cancel is not None and sequence < self.sequence and self.cancel.covers(token)


class Message(Protocol):
    """A message of TTS_SESSIONS, read from the stream or delivered by a consumer."""

    @property
    def subject(self) -> str:
        """The subject under which it is stored."""
        ...

    @property
    def sequence(self) -> int:
        """Its stream sequence."""
        ...

    @property
    def time_s(self) -> float:
        """When it was stored, in unix seconds of the server's clock."""
        ...

    @property
    def time_ns(self) -> int:
        """When it was stored, in unix nanoseconds, exact."""
        ...

    @property
    def data(self) -> bytes:
        """Its payload."""
        ...

    @property
    def trace(self) -> Carrier:
        """The trace context in its headers; empty if there is none."""
        ...

    @property
    def stated_caller(self) -> str | None:
        """The header `caller.HEADER`, or None."""
        ...


def read_message(message: Message, names: Names, *, max_text_chars: int) -> StoredRequest | StoredCancel:
    """Return `read_stored` of a message, with its trace. Never raises for a bad payload."""
    return read_stored(
        names,
        message.subject,
        message.sequence,
        message.time_s,
        message.data,
        max_text_chars=max_text_chars,
        trace=message.trace or origin_of(names.sessions_stream, message.sequence, message.time_ns),
        stated_caller=message.stated_caller,
    )


@dataclass(frozen=True, slots=True)
class RequestOutline:
    """The parts of a stored request that matter before it is its turn; the defaults for one that cannot be read."""

    ttl_s: float = DEFAULT_TTL_S
    streams_text: bool = False
    stated_transport: Transport | None = None
    supersedes: bool = False
    """It has `supersede`: true. Whether it counts is decided by `superseding`."""


def outline_of(message: Message) -> RequestOutline:
    """Return the outline of a stored request. Cheaper than `read_message`: nothing else is checked. Never raises."""
    try:
        value = codec.decode(message.data)
    except InvalidRequest:
        return RequestOutline()
    ttl, transport, use_websocket = value.get("ttlSeconds"), value.get("transport"), value.get("use_websocket")
    if transport not in get_args(Transport):
        transport = {True: "websocket", False: "http"}.get(use_websocket) if type(use_websocket) is bool else None
    if not isinstance(ttl, int | float) or isinstance(ttl, bool) or not MIN_TTL_S <= ttl <= MAX_TTL_S:
        ttl = DEFAULT_TTL_S
    return RequestOutline(float(ttl), value.get("textStream") is True, transport, value.get("supersede") is True)


def token_of(message: Message) -> str:
    """Return the token of a stored request's id, as `read_message` does. Cheaper: nothing else is checked."""
    try:
        request_id = _usable_id(codec.decode(message.data))
    except InvalidRequest:
        request_id = None
    return subjects.token(request_id or subjects.sequence_id(message.sequence))


def read_stored(  # noqa: PLR0913 - the parts of a message
    names: Names,
    subject: str,
    sequence: int,
    stored_at_s: float,
    data: bytes,
    *,
    max_text_chars: int,
    trace: Carrier | Origin = NOTHING,
    stated_caller: str | None = None,
) -> StoredRequest | StoredCancel:
    """Decode a message under `<prefix>.session.<session>.{request,request-<account>,cancel}`. `names`: of the node.

    Never raises for a bad payload.
    """
    _, session, kind = subject.rsplit(".", 2)
    if kind == "cancel":
        try:
            return StoredCancel(sequence, session, stored_at_s, Cancel.decode(data))
        except InvalidRequest:
            return StoredCancel(sequence, session, stored_at_s, None)
    stored = _read_request(names, session, sequence, stored_at_s, data, max_text_chars, trace)
    account = caller.account_in(kind)
    if account is not None:
        stored = _answered_in(names, stored, account)
    return replace(stored, caller=caller.caller_of(kind, stated_caller))


def _read_request(  # noqa: PLR0913 - the parts of a message
    names: Names,
    session: str,
    sequence: int,
    stored_at_s: float,
    data: bytes,
    max_text_chars: int,
    trace: Carrier | Origin,
) -> StoredRequest:
    value: Map = {}
    request: SpeakRequest | None = None
    problem: InvalidRequest | None = None
    try:
        value = codec.decode(data)
        request = parse_request(value, session=session, max_text_chars=max_text_chars, names=names)
    except InvalidRequest as exc:
        problem = exc
    request_id = _usable_id(value) or subjects.sequence_id(sequence)
    phone, reply = value.get("phoneId"), value.get("replyTo")
    return StoredRequest(
        sequence=sequence,
        session=session,
        token=subjects.token(request_id),
        request_id=request_id,
        session_id=request.session_id if request else (subjects.untoken(session) or session),
        phone_id=request.phone_id if request else (phone if _is_id(phone) else None),
        reply_to=reply if isinstance(reply, str) and names.reply_allowed(reply) else None,
        encoding=codec.encoding_of(data),
        stored_at_s=stored_at_s,
        request=request,
        problem=problem,
        trace=trace,
    )


def _answered_in(names: Names, stored: StoredRequest, account: str) -> StoredRequest:
    """The request as one of callers of that account, to whom NATS passes on only what is below their prefix."""
    prefix = names.reply_prefix(account)
    if stored.reply_to is None or stored.reply_to.startswith(prefix):
        return stored
    problem = InvalidRequest("replyTo", f"account {account} gets reports only below {prefix}; begin it with that")
    return replace(stored, reply_to=None, request=None, problem=stored.problem or problem)


def _usable_id(value: Map) -> str | None:
    request_id = value.get("requestId")
    if not isinstance(request_id, str):
        return None
    try:
        return subjects.check_request_id(request_id)
    except InvalidRequest:
        return None


def _is_id(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        subjects.check_id(value, "id")
    except InvalidRequest:
        return False
    return True
