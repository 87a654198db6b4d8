"""The status of an answer is known from its first line, however the bytes are divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.delivery.websocket.status_line import MAX_LINE_BYTES, StatusLine

pytestmark = pytest.mark.unit


def fed(data: bytes, size: int) -> tuple[int | None, int]:
    """The first status that feeding pieces of `size` bytes gives, and how many bytes it took."""
    line = StatusLine()
    for offset in range(0, len(data), size):
        if (status := line.feed(data[offset : offset + size])) is not None:
            return status, offset + size
    return None, len(data)


@given(status=st.integers(100, 999), rest=st.binary(max_size=300), size=st.integers(1, 40))
def test_the_first_line_is_enough(status: int, rest: bytes, size: int) -> None:
    first = b"HTTP/1.1 %d Some Words\r\n" % status
    found, used = fed(first + rest, size)
    assert found == status and used < len(first) + size


@given(data=st.binary(max_size=400), size=st.integers(1, 40))
def test_any_bytes_are_taken(data: bytes, size: int) -> None:
    line = StatusLine()
    found = [line.feed(data[offset : offset + size]) for offset in range(0, len(data), size)]
    assert all(status is None or 100 <= status <= 999 for status in [*found, line.ended()])


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 401", b"HTTP/1.0 401 Unauthorized", b"HTTP/1.1 401 \r\n", b"HTTP/1.1 401\n"]
)
def test_the_end_of_the_connection_ends_the_line(line: bytes) -> None:
    status = StatusLine()
    status.feed(line)
    assert status.ended() == 401


@pytest.mark.parametrize(
    "line", [b"", b"HTTP/1.1 40", b"HTTP/1.1 4011 x\r\n", b"HTTP/2 401\r\n", b"401\r\n", b" HTTP/1.1 401\r\n"]
)
def test_what_is_no_status(line: bytes) -> None:
    status = StatusLine()
    assert status.feed(line) is None and status.ended() is None


def test_a_line_without_an_end_is_not_kept() -> None:
    status = StatusLine()
    for _ in range(100):
        assert status.feed(b"x" * 4096) is None
    assert status.feed(b"\r\nHTTP/1.1 401 x\r\n") is None
    assert len(vars(status)["_line"]) <= 2 * MAX_LINE_BYTES
