"""The parser in front of nats-py's: the same messages, in the same order, however the bytes are cut."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.protocol.parser import Parser

from orastream.bus import splitter
from orastream.bus.dispatch import DispatchingClient, DispatchingParser, Headers

pytestmark = pytest.mark.unit

Seen = tuple[int, str, str, bytes, str | None]
DIRECT, QUEUED = 1, 2


class Recording(DispatchingClient):
    """A client without a socket that notes what it is told. Subscription 1 is direct, 2 is nats-py's own."""

    def __init__(self, parser: type[Parser] = DispatchingParser) -> None:
        super().__init__()
        self._ps = parser(self)
        self.seen: list[Seen] = []
        self.control: list[str] = []
        self.direct[DIRECT] = lambda subject, reply, data, headers: self.note(DIRECT, subject, reply, data, headers)

    def note(self, sid: int, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """One delivered message."""
        assert type(data) is bytes
        self.seen.append((sid, subject, reply, data, headers.get("Nats-Sequence")))

    async def _process_msg(self, sid: int, subject: Any, reply: Any, data: Any, headers: Any) -> None:
        block = Headers(bytes(headers)) if headers else Headers(b"NATS/1.0\r\n\r\n")
        self.note(sid, bytes(subject).decode(), bytes(reply).decode(), bytes(data), block)

    async def _process_ping(self) -> None:
        self.control.append("ping")

    async def _process_pong(self) -> None:
        self.control.append("pong")

    async def _process_err(self, err_msg: Any) -> None:
        self.control.append("err")

    async def _process_info(self, info: Any, initial_connection: bool = False) -> None:
        self.control.append("info")

    def read(self, *pieces: bytes) -> None:
        """Parse the pieces one after the other."""

        async def parse() -> None:
            for piece in pieces:
                await self._ps.parse(piece)

        asyncio.run(parse())


def message(sid: int, reply: str, payload: bytes, sequence: int | None) -> bytes:
    """A message as the server sends it, with headers if it has a sequence."""
    to = f" {reply}" if reply else ""
    if sequence is None:
        return f"MSG a.b {sid}{to} {len(payload)}\r\n".encode() + payload + b"\r\n"
    block = f"NATS/1.0\r\nNats-Stream: S\r\nNats-Sequence: {sequence}\r\nX:y\r\n\r\n".encode()
    total = len(block) + len(payload)
    return f"HMSG a.b {sid}{to} {len(block)} {total}\r\n".encode() + block + payload + b"\r\n"


OPERATIONS = st.one_of(
    st.builds(
        message,
        st.sampled_from([DIRECT, QUEUED]),
        st.sampled_from(["", "_INBOX.x.1"]),
        st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"MSG a 1 1\r\nx\r\n", b"PING\r\n"]),
        st.none() | st.integers(0, 10**9),
    ),
    st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'slow'\r\n", b'INFO {"max_payload":1}\r\n']),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(OPERATIONS, max_size=12), st.lists(st.integers(0, 600), max_size=12))
def test_the_same_as_nats_pys_own_parser(operations: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(operations)
    ends = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    pieces = [wire[a:b] for a, b in zip(ends, ends[1:], strict=False)]
    theirs = Recording(Parser)
    theirs.direct.clear()
    theirs.read(wire)
    ours = Recording()
    ours.read(*pieces)
    # Each subscription's messages in their order; between a direct and a queued one there has never been any, since
    # the queued one's task runs later.
    for sid in (DIRECT, QUEUED):
        assert [seen for seen in ours.seen if seen[0] == sid] == [seen for seen in theirs.seen if seen[0] == sid]
    assert ours.control == theirs.control


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=10),
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
    st.booleans(),
)
def test_a_small_buffer_holds_large_messages(sizes: list[int], reads: list[int], headed: bool) -> None:
    """However much a read brings, and however much larger than the buffer a message is."""
    payloads = [bytes((size + at) % 256 for at in range(size)) for size in sizes]
    wire = b"".join(message(DIRECT, "r", payload, 7 if headed else None) for payload in payloads)
    wire += b"PING\r\n" + message(QUEUED, "", b"\r\n", None)
    got: list[bytes] = []

    def deliver(sid: int, subject: bytes, reply: bytes, _block: bytes, data: bytes) -> bool:
        if sid == DIRECT:
            assert (subject, reply) == (b"a.b", b"r")
            got.append(data)
        return sid == DIRECT

    with mock.patch.multiple(splitter, BUFFER_BYTES=64, LEAST_ROOM_BYTES=16):
        split = splitter.Splitter(deliver)
        others, at = b"", 0
        for turn in range(len(wire)):
            room = split.room()
            assert len(room) >= 16
            piece = wire[at : at + min(reads[turn % len(reads)], len(room))]
            room[: len(piece)] = piece
            split.filled(len(piece))
            others += split.take()
            at += len(piece)
    assert got == payloads
    assert others == b"PING\r\n" + message(QUEUED, "", b"\r\n", None)


def test_a_reset_forgets_a_part_of_a_message() -> None:
    client = Recording()
    client.read(message(DIRECT, "", b"cut", 1)[:-4])
    client._ps.reset()
    client.read(message(DIRECT, "", b"whole", 2))
    assert [seen[3] for seen in client.seen] == [b"whole"]


def test_a_callback_that_raises_does_not_stop_the_next() -> None:
    client = Recording()
    got: list[bytes] = []

    def callback(_subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        got.append(data)
        raise ValueError

    client.direct[DIRECT] = callback
    client.read(message(DIRECT, "", b"1", None) + message(DIRECT, "", b"2", None))
    assert got == [b"1", b"2"]


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (b"NATS/1.0 503\r\n\r\n", "503"),
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 1\r\n\r\n", "408"),
        (b"NATS/1.0 204 EOB\r\nNats-Last-Sequence: 7\r\n\r\n", "204"),
        (b"NATS/1.0\r\nNats-Sequence: 7\r\n\r\n", None),
    ],
)
def test_status_lines(block: bytes, status: str | None) -> None:
    assert Headers(block).get("Status") == status


def test_headers_are_found_by_their_whole_name() -> None:
    headers = Headers("NATS/1.0\r\nNats-Last-Sequence: 6\r\nNats-Sequence:7\r\nOdd:   안녕  \r\n\r\n".encode())
    assert headers.get("Nats-Sequence") == "7" and headers["Nats-Last-Sequence"] == "6"
    assert headers.get("Odd") == "안녕" and headers.get("Sequence") is None
    with pytest.raises(KeyError):
        headers["Sequence"]
