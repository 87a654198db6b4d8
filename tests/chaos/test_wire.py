"""The tap before OraServer: one time for each text frame or POST, however the bytes are cut into pieces."""

from __future__ import annotations

import struct

import pytest

from tests.chaos.composed.wire import BridgeTap

pytestmark = pytest.mark.unit

UPGRADE = b"GET /ws/tts HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
TEXT, CLOSE, PING = 0x1, 0x8, 0x9
MASK = b"\x01\x02\x03\x04"


def frame(size: int, opcode: int = TEXT, *, masked: bool = True) -> bytes:
    """A WebSocket frame with a payload of that size. The payload looks like the head of an HTTP request."""
    mask_bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([mask_bit | size])
    elif size < 1 << 16:
        length = bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        length = bytes([mask_bit | 127]) + struct.pack(">Q", size)
    payload = (b"\r\n\r\nPOST / HTTP/1.1\r\n\r\n" * (size // 20 + 1))[:size]
    return bytes([0x80 | opcode]) + length + (MASK if masked else b"") + payload


def post(size: int, *, head: bytes = b"Content-Length") -> bytes:
    """A POST with a body of that size."""
    return (
        b"POST /api/tts HTTP/1.1\r\nHost: a\r\n" + head + b": %d\r\n\r\n" % size + b"\r\n\r\n"[:size].ljust(size, b"x")
    )


def ends(pieces: list[bytes], counted: list[bool]) -> list[float]:
    """The position after each piece that counts, in bytes: what a tap that gets one byte at a time must say."""
    at, found = 0, []
    for piece, counts in zip(pieces, counted, strict=True):
        at += len(piece)
        if counts:
            found.append(float(at))
    return found


def tapped(data: bytes, size: int) -> list[float]:
    """What a tap says that gets `size` bytes at a time; the time is the number of bytes so far."""
    tap = BridgeTap()
    for begin in range(0, len(data), size):
        piece = data[begin : begin + size]
        tap.sent(piece, float(begin + len(piece)))
    return tap.times


WEBSOCKET = [UPGRADE, frame(5), frame(0), frame(125), frame(126), frame(4, PING), frame(300), frame(0, PING), frame(1)]
WEBSOCKET_COUNTS = [False, True, True, True, True, False, True, False, True]
HTTP = [post(10), post(0), b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", post(300, head=b"content-length"), post(1)]
HTTP_COUNTS = [True, True, False, True, True]


@pytest.mark.parametrize(
    ("pieces", "counted"), [(WEBSOCKET, WEBSOCKET_COUNTS), (HTTP, HTTP_COUNTS)], ids=["websocket", "http"]
)
def test_every_cut_of_the_bytes_gives_the_same_number_of_times(pieces: list[bytes], counted: list[bool]) -> None:
    data, expected = b"".join(pieces), ends(pieces, counted)
    assert tapped(data, 1) == expected
    assert tapped(data, len(data)) == [float(len(data))] * len(expected)
    for cut in range(1, len(data)):
        tap = BridgeTap()
        tap.sent(data[:cut], float(cut))
        assert tap.times == [float(cut)] * sum(end <= cut for end in expected), cut
        tap.sent(data[cut:], float(len(data)))
        assert len(tap.times) == len(expected), cut


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 0x10001])
@pytest.mark.parametrize("masked", [True, False])
def test_frames_of_each_length_encoding_end_at_their_last_byte(size: int, masked: bool) -> None:
    pieces = [UPGRADE, frame(size, masked=masked), frame(2, masked=masked)]
    data = b"".join(pieces)
    without_last = len(data) - len(pieces[2]) - 1
    tap = BridgeTap()
    tap.sent(data[:without_last], 1.0)
    assert tap.times == []
    tap.sent(data[without_last : without_last + 1], 2.0)
    assert tap.times == [2.0]
    tap.sent(data[without_last + 1 :], 3.0)
    assert tap.times == [2.0, 3.0]


def test_control_frames_are_not_counted() -> None:
    assert tapped(UPGRADE + frame(4, PING) + frame(0, PING) + frame(2, CLOSE), 1) == []


def test_the_first_frame_may_come_with_the_end_of_the_handshake() -> None:
    data = UPGRADE + frame(7)
    tap = BridgeTap()
    tap.sent(data[: len(UPGRADE) - 2], 1.0)
    tap.sent(data[len(UPGRADE) - 2 :], 2.0)
    assert tap.times == [2.0]


def test_a_body_is_not_read_as_a_request() -> None:
    body = post(3)
    data = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert len(tapped(data, 1)) == len(tapped(data, len(data))) == 1
