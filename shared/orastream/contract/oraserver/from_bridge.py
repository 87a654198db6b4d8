"""What a bridge sends to OraServer over protocol v2. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import msgpack

from orastream.contract.oraserver.wire import (
    Key,
    WireMessage,
    count,
    data,
    flag,
    one_of,
    positive,
    rows,
    string,
    unpack_as,
)

StreamEndStatus = Literal["complete", "failed"]


@dataclass(frozen=True, slots=True)
class BridgeHello(WireMessage):
    """The bridge's answer to `hello`."""

    TYPE: ClassVar[str] = "hello"
    version: Annotated[int, Key("version", positive)]
    node: Annotated[str, Key("node", string)]
    """The node whose sequences and epochs these are. Those of another node cannot be compared with them."""
    bridge: Annotated[str, Key("bridge", string)]
    """The name of the bridge process, as in its log."""
    software: Annotated[str, Key("software", string)]


@dataclass(frozen=True, slots=True)
class OpenStream(WireMessage):
    """An utterance begins, or goes on."""

    TYPE: ClassVar[str] = "open"
    stream: Annotated[int, Key("s", positive)]
    session: Annotated[str, Key("session", string)]
    phone: Annotated[str, Key("phone", string)]
    request: Annotated[str, Key("request", string)]
    seq: Annotated[int, Key("seq", positive)]
    """The sequence of the request. Every utterance of the session with a lower one is final."""
    epoch: Annotated[int, Key("epoch", count)]
    attempt: Annotated[int, Key("try", count)]
    """Increases with each `open` of the same epoch and session."""
    acked: Annotated[int, Key("acked", count)]
    """Bytes that OraServer has confirmed, as far as the bridge knows."""
    format: Annotated[str, Key("format", string)]
    rate: Annotated[int, Key("rate", positive)]
    """In Hz."""
    channels: Annotated[int, Key("channels", positive)]
    engine: Annotated[str, Key("engine", string)]
    language: Annotated[str, Key("language", string)]
    fresh: Annotated[bool, Key("fresh", flag)] = False
    """True: no bridge can have sent audio of it, and this one sends it without waiting for `opened`."""


@dataclass(frozen=True, slots=True)
class SentenceText(WireMessage):
    """A sentence begins."""

    TYPE: ClassVar[str] = "text"
    stream: Annotated[int, Key("s", positive)]
    number: Annotated[int, Key("n", count)]
    ms: Annotated[int, Key("ms", count)]
    """When its first sample is played, in milliseconds of the utterance."""
    text: Annotated[str, Key("text", string)]
    first: Annotated[int | None, Key("from", count)] = None
    """Its first code point in the request's text."""
    past: Annotated[int | None, Key("to", count)] = None
    """The code point after its last one."""
    words: Annotated[
        tuple[tuple[int, int, int, int], ...] | None,
        Key("words", rows(first=count, length=count, begin=count, end=count)),
    ] = None
    """For each word: its first code point, its length in code points, and its begin and end in ms of the utterance."""


@dataclass(slots=True)  # not frozen: it is made for each frame, and a frozen one takes three times as long
class AudioRange(WireMessage):
    """Bytes of the file, from `at` on."""

    TYPE: ClassVar[str] = "audio"
    stream: Annotated[int, Key("s", positive)]
    at: Annotated[int, Key("at", count)]
    data: Annotated[bytes, Key("data", data)]
    ms: Annotated[int | None, Key("ms", count)] = None
    """If a stored chunk begins at `at`: the time of its first sample, in milliseconds of the utterance."""
    crc: Annotated[int | None, Key("crc", count)] = None
    """CRC-32 of `data`, as in zlib, if OraServer asks for it."""

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Encode the message as `pack` does, without a copy of `data`: the parts belong one behind the other."""
        optional = b""
        if self.ms is not None:
            optional = b"\xa2ms" + _packb(self.ms)
        if self.crc is not None:
            optional += b"\xa3crc" + _packb(self.crc)
        keys = 4 + (self.ms is not None) + (self.crc is not None)
        numbers = (_packb(self.stream), b"\xa2at", _packb(self.at), b"\xa4data", _bin_header(len(self.data)))
        return b"".join((b"%c\xa1t\xa5audio\xa1s" % (0x80 | keys), *numbers)), self.data, optional


@dataclass(frozen=True, slots=True)
class StreamEnd(WireMessage):
    """What there is of the audio is sent."""

    TYPE: ClassVar[str] = "end"
    stream: Annotated[int, Key("s", positive)]
    status: Annotated[StreamEndStatus, Key("status", one_of("complete", "failed"))]
    size: Annotated[int, Key("size", count)]
    """Bytes of the file."""
    ms: Annotated[int, Key("ms", count)]
    """Its duration."""
    code: Annotated[str | None, Key("code", string)] = None
    """The error code of a failed utterance."""


@dataclass(frozen=True, slots=True)
class CancelUtterances(WireMessage):
    """Barge-in: drop what was not played of these utterances, and refuse them from now on."""

    TYPE: ClassVar[str] = "cancel"
    session: Annotated[str, Key("session", string)]
    epoch: Annotated[int, Key("epoch", count)]
    before: Annotated[int | None, Key("before", positive)] = None
    """All utterances of the session with a lower sequence."""
    seq: Annotated[int | None, Key("seq", positive)] = None
    """The one utterance with this sequence."""


BridgeMessage = BridgeHello | OpenStream | SentenceText | AudioRange | StreamEnd | CancelUtterances

BRIDGE_MESSAGES: dict[str, type[WireMessage]] = {
    kind.TYPE: kind for kind in (BridgeHello, OpenStream, SentenceText, AudioRange, StreamEnd, CancelUtterances)
}


def unpack_from_bridge(payload: bytes) -> WireMessage | None:
    """Decode a message of a bridge; None for one of an unknown type. Raises Undecodable."""
    return unpack_as(BRIDGE_MESSAGES, payload)


_packer = msgpack.Packer()


def _packb(value: int) -> bytes:
    packed: bytes = _packer.pack(value)
    return packed


def _bin_header(size: int) -> bytes:
    """The bytes before binary data of this size."""
    if size < 1 << 8:
        return b"\xc4%c" % size
    return b"\xc5" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xc6" + size.to_bytes(4, "big")
