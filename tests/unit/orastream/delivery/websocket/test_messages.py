"""Frames are put together to messages; little is kept before somebody takes them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from orastream.delivery.websocket.messages import EARLY, EARLY_BYTES, MessageReader

pytestmark = pytest.mark.unit

messages = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 3), min_size=1, max_size=4)), max_size=8)
"""For each message whether it is text, and the sizes of its frames, in units of 20 000 bytes and some more."""


def frames(text: bool, sizes: list[int]) -> list[Frame]:
    first = Opcode.TEXT if text else Opcode.BINARY
    return [
        Frame(first if at == 0 else Opcode.CONT, bytes([65 + at]) * (size * 20_000 + 1), fin=at == len(sizes) - 1)
        for at, size in enumerate(sizes)
    ]


@given(early=messages, later=messages)
def test_messages_are_passed_on_and_early_ones_are_bounded(
    early: list[tuple[bool, list[int]]], later: list[tuple[bool, list[int]]]
) -> None:
    reader, passed = MessageReader(), []
    for text, sizes in early:
        for frame in frames(text, sizes):
            reader.frame(frame)
            assert reader.held_bytes <= (EARLY + 1) * (EARLY_BYTES + 1)
    reader.pass_to(passed.append)
    assert reader.held_bytes == 0
    for text, sizes in later:
        for frame in frames(text, sizes):
            reader.frame(frame)
    whole = [None if text else b"".join(frame.data for frame in frames(text, sizes)) for text, sizes in early + later]
    kept = [None if message is None else message[: EARLY_BYTES + 1] for message in whole[: len(early)][:EARLY]]
    assert passed == kept + whole[len(early) :]
    assert reader.held_bytes == 0


def test_empty_fragments_without_end_take_no_memory() -> None:
    """The limit of the size of a message does not count them."""
    reader = MessageReader()
    reader.frame(Frame(Opcode.BINARY, b"", fin=False))
    empty = Frame(Opcode.CONT, b"", fin=False)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20_000):
            reader.frame(empty)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000
