"""The frames that ws_bridge builds itself, parsed by `websockets`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from orastream.delivery.websocket.masking import FIN_PING, FIN_TEXT, MASK_PAGE_BYTES, Masks, masked_frame

pytestmark = pytest.mark.unit


def read(wire: bytes) -> Frame:
    """Parse `wire`, which must hold exactly one frame."""
    reader = StreamReader()
    reader.feed_data(wire)
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=True)
    try:
        while True:
            next(parsing)
    except StopIteration as done:
        frame: Frame = done.value
    assert not reader.buffer
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000, 65535, 65536, 100_000])
def test_masked_frame_is_read_by_websockets(size: int) -> None:
    payload = bytes(byte % 127 for byte in range(size % 251)) * (size // (size % 251 or 1) + 1)
    payload = payload[:size].ljust(size, b"x")
    frame = read(b"".join(masked_frame(FIN_TEXT, (payload,), Masks().next())))
    assert frame.opcode is Opcode.TEXT and frame.fin and bytes(frame.data) == payload


@given(st.lists(st.binary(max_size=9), max_size=8), st.binary(min_size=4, max_size=4))
def test_parts_of_a_frame_are_one_payload(parts: list[bytes], key: bytes) -> None:
    frame = read(b"".join(masked_frame(FIN_PING, parts, key)))
    assert frame.opcode is Opcode.PING and bytes(frame.data) == b"".join(parts)


def test_every_frame_gets_its_own_key() -> None:
    masks = Masks()
    keys = [masks.next() for _ in range(MASK_PAGE_BYTES)]
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > len(keys) - 3  # the keys are random 32-bit values, so repeats are rare
