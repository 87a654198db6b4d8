"""The parser that replaces nats-py's: the same messages, in the same order, however the bytes are cut."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from unittest import mock

import nats.aio.client as nats_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.subscription import Subscription
from nats.protocol.parser import Parser

from orastream.broker.fastpath import splitter
from orastream.broker.fastpath.dispatch import DispatchingClient, Headers
from orastream.broker.fastpath.operations import OperationParser
from orastream.broker.fastpath.splitter import ProtocolError, Splitter, parse_line

pytestmark = pytest.mark.unit

Seen = tuple[int, str, str, bytes, str | None]
DIRECT, QUEUED = 1, 2


class Recording(DispatchingClient):
    """A client without a socket that records what the parser calls. Subscription 1 is direct, 2 has a queue."""

    def __init__(self, parser: type[Parser] = OperationParser) -> None:
        super().__init__()
        self._ps = parser(self)
        self.seen: list[Seen] = []
        self.control: list[str] = []
        self.direct[DIRECT] = lambda subject, reply, data, headers: self.note(DIRECT, subject, reply, data, headers)

    def note(self, sid: int, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """Record a delivered message."""
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
        self.control.append(err_msg)

    async def _process_info(self, info: Any, initial_connection: bool = False) -> None:
        self.control.append("info")

    def read(self, *pieces: bytes) -> None:
        """Parse the pieces one after the other."""

        async def parse() -> None:
            queued = self._subs[QUEUED] = Subscription(self, QUEUED, "a.b")
            try:
                for piece in pieces:
                    await self._ps.parse(piece)
            finally:
                while not queued._pending_queue.empty():
                    message = queued._pending_queue.get_nowait()
                    sequence = (message.headers or {}).get("Nats-Sequence")
                    self.seen.append((QUEUED, message.subject, message.reply, message.data, sequence))

        asyncio.run(parse())


def message(sid: int, reply: str, payload: bytes, sequence: int | None) -> bytes:
    """Return a message as the server sends it, with headers if it has a sequence."""
    to = f" {reply}" if reply else ""
    if sequence is None:
        return f"MSG a.b {sid}{to} {len(payload)}\r\n".encode() + payload + b"\r\n"
    block = f"NATS/1.0\r\nNats-Stream: S\r\nNats-Sequence: {sequence}\r\nX:y\r\n\r\n".encode()
    total = len(block) + len(payload)
    return f"HMSG a.b {sid}{to} {len(block)} {total}\r\n".encode() + block + payload + b"\r\n"


PAYLOADS = st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"MSG a 1 1\r\nx\r\n", b"PING\r\n"])
CONTROL = st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow'\r\n", b'INFO {"max_payload":1}\r\n'])
CUTS = st.lists(st.integers(0, 600), max_size=12)
OPERATIONS = st.one_of(
    st.builds(
        message,
        st.sampled_from([DIRECT, QUEUED]),
        st.sampled_from(["", "_INBOX.x.1"]),
        PAYLOADS,
        st.none() | st.integers(0, 10**9),
    ),
    CONTROL,
)


def cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    """Return `wire` in pieces, as reads may return it."""
    ends = [0, *sorted(min(at, len(wire)) for at in cuts), len(wire)]
    return [wire[a:b] for a, b in zip(ends, ends[1:], strict=False)]


@settings(max_examples=150)
@given(st.lists(OPERATIONS, max_size=12), CUTS)
def test_dispatch_gives_the_same_messages_as_the_parser_of_nats_py(operations: list[bytes], cuts: list[int]) -> None:
    """For messages with UTF-8 subjects and well-formed headers."""
    wire = b"".join(operations)
    theirs = Recording(Parser)
    theirs.direct.clear()
    theirs.read(wire)
    ours = Recording()
    ours.read(*cut(wire, cuts))
    # Only within a subscription: messages of a queued one are handled later, by its task.
    for sid in (DIRECT, QUEUED):
        assert [seen for seen in ours.seen if seen[0] == sid] == [seen for seen in theirs.seen if seen[0] == sid]
    assert ours.control == theirs.control


# What nats-server 2.15 accepts: subjects of all bytes but these three, and any header block.
BYTES = st.integers(0, 255).filter(lambda byte: byte not in b" \t\n").map(lambda byte: bytes([byte]))
WORDS = st.lists(BYTES | st.sampled_from([b"\xe9", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\r"]), min_size=1, max_size=9)
SUBJECTS = WORDS.map(b"".join)
Delivered = tuple[int, bytes, bytes, bytes, bytes]


def sent(sid: int, subject: bytes, reply: bytes, block: bytes | None, data: bytes) -> bytes:
    """A message as nats-server sends it."""
    words = [b"MSG" if block is None else b"HMSG", subject, b"%d" % sid, *([reply] if reply else [])]
    sizes = [] if block is None else [b"%d" % len(block)]
    return b" ".join([*words, *sizes, b"%d" % len((block or b"") + data)]) + b"\r\n" + (block or b"") + data + b"\r\n"


MESSAGES = st.tuples(
    st.integers(0, 10**6), SUBJECTS, st.just(b"") | SUBJECTS, st.none() | st.binary(max_size=30), PAYLOADS
)


@settings(max_examples=300)
@given(st.lists(MESSAGES | CONTROL, max_size=10), CUTS)
def test_splitter_delivers_messages_unchanged(operations: list[Any], cuts: list[int]) -> None:
    """Subject, reply subject, header block and payload, whatever bytes they have."""
    wire = b"".join(one if isinstance(one, bytes) else sent(*one) for one in operations)
    got: list[Delivered] = []
    split = Splitter(lambda *message: got.append(message))
    others = b"".join(split.split(piece) for piece in cut(wire, cuts))
    assert got == [(s, subject, r, b or b"", d) for s, subject, r, b, d in (o for o in operations if type(o) is tuple)]
    assert others == b"".join(one for one in operations if isinstance(one, bytes))


@settings(max_examples=150)
@given(st.lists(MESSAGES.map(lambda one: (one[0] % 2 + 1, *one[1:])) | CONTROL, max_size=8), CUTS)
def test_read_loop_continues_after_any_message(operations: list[Any], cuts: list[int]) -> None:
    """A direct subscription and one of nats.micro get all their messages."""
    wire = b"".join(one if isinstance(one, bytes) else sent(*one) for one in operations)
    client = Recording()
    client.read(*cut(wire, cuts))
    messages = [one for one in operations if isinstance(one, tuple)]
    for sid in (DIRECT, QUEUED):
        got = [(s[1].encode("utf-8", "surrogateescape"), s[3]) for s in client.seen if s[0] == sid]
        assert got == [(subject, data) for at, subject, _, _, data in messages if at == sid]
    assert len(client.control) == sum(isinstance(one, bytes) and one != b"+OK\r\n" for one in operations)


GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [b"MSG", b"HMSG", b" ", b"\t", b"a", b"1", b"-1", b"+1", b"1_0", b"9" * 30, b"\xb2", b"\r\n", b"\r", b"\n"]
            + [
                b"INFO ",
                b"[]",
                b'{"connect_urls":[1]}',
                b'{"max_payload":"x"}',
                b"{",
                b"-ERR ",
                b"'\xff'",
                b"PING",
                b"PONG",
            ]
        ),
        max_size=20,
    ).map(b"".join),
)


@settings(max_examples=400)
@given(st.lists(GARBAGE | MESSAGES.map(lambda one: sent(*one)) | CONTROL, max_size=6), CUTS)
def test_splitter_raises_only_protocol_error_for_garbage(operations: list[bytes], cuts: list[int]) -> None:
    """It never raises another error. Messages before the garbage are delivered, however the bytes are cut."""

    def outcome(pieces: list[bytes]) -> tuple[list[Delivered], bytes, bool]:
        got: list[Delivered] = []
        split, others = Splitter(lambda *message: got.append(message)), b""
        try:
            for piece in pieces:
                others += split.split(piece)
        except ProtocolError:
            return got, others + split.take(), True
        return got, others, False

    wire = b"".join(operations)
    assert outcome(cut(wire, cuts)) == outcome([wire])
    with contextlib.suppress(ProtocolError):
        Recording().read(wire)


BAD_LINES = [
    b"MSG",
    b"MSG a 1",
    b"MSG a 1 b c 2",
    b"MSG a x 2",
    b"MSG a 1 -2",
    b"MSG a 1 +2",
    b"MSG a 1 2_0",
    b"MSG a 1 \xb2",
    b"MSG a 1 " + b"9" * 5000,
    b"MSG a 1 %d" % (splitter.MAX_MESSAGE_BYTES + 1),
    b"HMSG a 1 2",
    b"HMSG a 1 5 4",
    b"HMSG a 1 -1 4",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: ascii(line[:24]))
def test_parse_line_raises_protocol_error_for_an_invalid_line(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_line(line)


def test_parse_line_accepts_tabs_and_several_spaces_between_fields() -> None:
    """As NATS' protocol documentation says."""
    assert parse_line(b"HMSG\ta.b  7 \t r 12 14") == (7, b"a.b", b"r", 12, 14)


def test_splitter_limits_the_length_of_a_line() -> None:
    split = Splitter(lambda *_: None)
    with pytest.raises(ProtocolError, match="line"):
        for _ in range(100):
            split.split(b"x" * 100_000)
    assert len(split.room()) < 10 * splitter.MAX_LINE_BYTES


def test_splitter_raises_protocol_error_when_a_payload_has_another_size_than_its_line_says() -> None:
    split, got = Splitter(lambda *message: got.append(message)), []  # type: list[Delivered]
    with pytest.raises(ProtocolError, match="3 bytes"):
        split.split(b"MSG a 1 1\r\nx\r\nMSG a 1 3\r\nabcdef\r\n")
    assert [message[4] for message in got] == [b"x"]
    with pytest.raises(ProtocolError):
        split.split(b"PING\r\n")
    assert len(got) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"NOSUCH",
        b"",
        b"msg a 1 1",
        b"INFO",
        b"INFO []",
        b"INFO \xff",
        b'INFO {"max_payload":"1"}',
        b"INFO " + b"[" * 9999,
    ],
    ids=lambda line: ascii(line[:24]),
)
def test_parser_raises_protocol_error_for_an_unknown_or_invalid_operation(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Recording().read(line + b"\r\n")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"-ERR 'Stale Connection'", "'stale connection'"),
        (b"-ERR", ""),
        (b"-ERR no quotes", "no quotes"),
        (b"-ERR 'Permissions Violation for Publish to \"_INBOX.\xff\"'", None),
    ],
)
def test_parser_accepts_any_bytes_in_an_error_of_the_server(line: bytes, error: str | None) -> None:
    """For example a reply subject that a caller chose."""
    client = Recording()
    client.read(line + b"\r\nPING\r\n")
    assert client.control[1:] == ["ping"]
    assert "permissions violation" in client.control[0] if error is None else client.control[0] == error


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=10),
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
    st.booleans(),
)
def test_splitter_reads_messages_larger_than_its_buffer(sizes: list[int], reads: list[int], headed: bool) -> None:
    """Whatever the size of the reads, and if a message is larger than the buffer."""
    payloads = [bytes((size + at) % 256 for at in range(size)) for size in sizes]
    wire = b"".join(message(DIRECT, "r", payload, 7 if headed else None) for payload in payloads)
    wire += b"PING\r\n" + message(QUEUED, "", b"\r\n", None)
    got: list[Delivered] = []
    with mock.patch.multiple(splitter, BUFFER_BYTES=64, LEAST_ROOM_BYTES=16):
        split = Splitter(lambda *message: got.append(message))
        others, at = b"", 0
        for turn in range(len(wire)):
            room = split.room()
            assert len(room) >= 16
            piece = wire[at : at + min(reads[turn % len(reads)], len(room))]
            room[: len(piece)] = piece
            split.filled(len(piece))
            others += split.take()
            at += len(piece)
    assert [data for sid, _, _, _, data in got if sid == DIRECT] == payloads
    assert all(message[1:3] == (b"a.b", b"r") for message in got[:-1])
    assert got[-1] == (QUEUED, b"a.b", b"", b"", b"\r\n")
    assert others == b"PING\r\n"


def test_reset_drops_an_incomplete_message() -> None:
    client = Recording()
    client.read(message(DIRECT, "", b"cut", 1)[:-4])
    client._ps.reset()
    client.read(message(DIRECT, "", b"whole", 2))
    assert [seen[3] for seen in client.seen] == [b"whole"]


def test_next_message_is_delivered_when_a_callback_raises() -> None:
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
        (b"", None),
        (b"garbage", None),
        (b"garbaNats-Stream: S\r\nNats-Subject: a\r\n\r\n", None),
        (b"NATS/1.0", None),
        (b"NATS/1.0 \xff\xfe\xfd\r\n\r\n", None),
        (b"NATS/1.0\0503\r\n\r\n", None),
    ],
)
def test_headers_contain_the_status_of_the_first_line(block: bytes, status: str | None) -> None:
    assert Headers(block).get("Status") == status


def test_all_headers_are_those_that_nats_py_reads() -> None:
    """Without lines that are no header; of a name that comes twice, the last value."""
    block = (
        "NATS/1.0\r\nA: 1\r\nB:안녕 \r\n b c: 2\r\nnothing\r\n\xe9: 3\r\nA:2\r\nUrl: a:b\r\n\r\n".encode()
        + b"X: \xff\r\n"
    )
    found = Headers(block).all()
    assert found == {"A": "2", "B": "안녕", "Url": "a:b", "X": "\ufffd"}
    if (of_nats_py := getattr(nats_client.Client, "_parse_header_lines", None)) is not None:  # from 2.15 on
        assert found == of_nats_py(block.partition(b"\r\n")[2])


def test_headers_are_found_only_by_their_full_name() -> None:
    headers = Headers("NATS/1.0\r\nNats-Last-Sequence: 6\r\nNats-Sequence:7\r\nOdd:   안녕  \r\n\r\n".encode())
    assert headers.get("Nats-Sequence") == "7" and headers["Nats-Last-Sequence"] == "6"
    assert headers.get("Odd") == "안녕" and headers.get("Sequence") is None
    with pytest.raises(KeyError):
        headers["Sequence"]


@given(
    st.binary(max_size=80) | st.lists(st.sampled_from([b"NATS/1.0", b" ", b"\r\n", b"A:", b":", b"\xff"])).map(b"".join)
)
def test_headers_accept_any_block(block: bytes) -> None:
    headers = Headers(block)
    assert headers.get("A") is None or isinstance(headers.get("A"), str)
    assert headers.status is None or headers.status.isdigit()
