"""What OraServer sends to a bridge over protocol v2. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from orastream.contract.oraserver.wire import (
    MAX_INT,
    Key,
    WireMessage,
    count,
    flag,
    message_of,
    positive,
    ranges,
    rows,
    string,
    strings,
    unpack_map,
)

MIN_CREDIT = 4_096
"""The least `credit` of a `hello`, in bytes."""
Ranges = tuple[tuple[int, int], ...]
"""Ranges of bytes `(from, to)`, without `to`; in order, not empty, and apart from each other."""


@dataclass(frozen=True, slots=True)
class ServerHello(WireMessage):
    """The first frame of OraServer."""

    TYPE: ClassVar[str] = "hello"
    version: Annotated[int, Key("version", positive)]
    credit: Annotated[int, Key("credit", positive)]
    """Bytes of a new stream that the bridge may send before an `ack`, at least MIN_CREDIT. Not checked here."""
    streams: Annotated[int, Key("streams", positive)]
    """Streams without a final state that this connection may have."""
    formats: Annotated[tuple[str, ...], Key("formats", strings)]
    """The audio formats that OraServer can use."""
    keep_ms: Annotated[int, Key("keep_ms", count)]
    """How long OraServer keeps an unfinished utterance after its connection broke."""
    crc: Annotated[bool, Key("crc", flag)] = False
    """Whether `audio` must have a checksum."""
    played: Annotated[bool, Key("played", flag)] = False
    """Whether OraServer reports how far the phone has played."""


@dataclass(frozen=True, slots=True)
class StreamOpened(WireMessage):
    """Where the bridge goes on."""

    TYPE: ClassVar[str] = "opened"
    stream: Annotated[int, Key("s", positive)]
    upto: Annotated[int, Key("upto", count)]
    limit: Annotated[int, Key("limit", count)]
    ranges: Annotated[Ranges, Key("ranges", ranges)] = ()
    size: Annotated[int | None, Key("size", count)] = None
    """Bytes of the file, if its `end` is stored."""
    played: Annotated[int | None, Key("played", count)] = None
    """Milliseconds of the utterance that the phone has played."""


@dataclass(slots=True)  # not frozen: many come, and a frozen one takes three times as long to make
class StreamAck(WireMessage):
    """What OraServer has stored of a stream, and how much more it takes."""

    TYPE: ClassVar[str] = "ack"
    stream: Annotated[int, Key("s", positive)]
    upto: Annotated[int, Key("upto", count)]
    """All bytes before it are stored, or skipped."""
    limit: Annotated[int, Key("limit", count)]
    """The bridge may send bytes before it."""
    seen: Annotated[int, Key("seen", count)]
    """Binary frames that OraServer has read on this connection."""
    ranges: Annotated[Ranges, Key("ranges", ranges)] = ()
    """What is stored above `upto`."""
    size: Annotated[int | None, Key("size", count)] = None
    skipped: Annotated[int | None, Key("skipped", count)] = None
    """Bytes before `upto` that OraServer has left out, in all."""


@dataclass(frozen=True, slots=True)
class PlayedUntil(WireMessage):
    """How far the phone has played."""

    TYPE: ClassVar[str] = "played"
    stream: Annotated[int, Key("s", positive)]
    ms: Annotated[int, Key("ms", count)]
    done: Annotated[bool, Key("done", flag)] = False
    """It plays no more of this utterance."""


@dataclass(frozen=True, slots=True)
class UtterancesCleared(WireMessage):
    """The answer to `cancel`."""

    TYPE: ClassVar[str] = "cleared"
    session: Annotated[str, Key("session", string)]
    utterances: Annotated[
        tuple[tuple[str, int, int], ...], Key("utterances", rows(request=string, seq=positive, ms=count))
    ]
    """For each utterance that it ended: its request id, its sequence, and how many ms were played."""
    before: Annotated[int | None, Key("before", positive)] = None
    seq: Annotated[int | None, Key("seq", positive)] = None


@dataclass(frozen=True, slots=True)
class ServerError(WireMessage):
    """Something is wrong with a stream, or without `stream` with a session or the connection."""

    TYPE: ClassVar[str] = "error"
    code: Annotated[str, Key("code", string)]
    message: Annotated[str, Key("message", string)] = ""
    stream: Annotated[int | None, Key("s", positive)] = None
    session: Annotated[str | None, Key("session", string)] = None
    fatal: Annotated[bool, Key("fatal", flag)] = False
    """OraServer closes the connection."""


MAX_RANGES = 64
"""Ranges of a message: OraServer may have more."""
MAX_ARRAY = 256
"""Items of an array: more than MAX_RANGES ranges, or 200 utterances of a cancel, are not allowed."""
PLAIN_ACK_KEYS = 5
"""`t` and the four numbers that every `ack` has."""
SERVER_MESSAGES: dict[str, type[WireMessage]] = {
    kind.TYPE: kind for kind in (ServerHello, StreamOpened, StreamAck, PlayedUntil, UtterancesCleared, ServerError)
}


def unpack_from_server(payload: bytes) -> WireMessage | None:
    """Decode a message of OraServer; None for one of an unknown type. Raises Undecodable."""
    value = unpack_map(payload, MAX_ARRAY)
    return _plain_ack(value) or message_of(SERVER_MESSAGES, value)


def _plain_ack(value: dict[str, Any]) -> StreamAck | None:
    """The `ack` that nearly every message is; None for any other message, and for one that must be checked closely."""
    if len(value) != PLAIN_ACK_KEYS or value["t"] != StreamAck.TYPE:
        return None
    numbers: list[Any] = [value.get(key) for key in ("s", "upto", "limit", "seen")]
    for number in numbers:
        if type(number) is not int or not 0 < number <= MAX_INT:
            return None
    stream, upto, limit, seen = numbers
    return StreamAck(stream, upto, limit, seen)
