"""What passes between an engine's process and its host: msgpack maps, each behind its length (4 bytes, big-endian).

Host to process:
    speak  {id, sentence, voice, language, speed, rtf, skip_bytes, keep_skipped}   ids rise
    stop   {id}                  end that sentence, and any before it
    quit   {}                    as is the end of the input
Process to host:
    ready  {name, deterministic, sample_rate_hz, voices: [[name, language, sample_rate_hz]]}, or failed {message}
    pcm    {id, pcm}             an empty one is a sign of life
    done   {id, bytes}           of the whole sentence, skipped ones included
    error  {id, kind, message}   kind is the name of an exception in engines.base
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import msgpack

if TYPE_CHECKING:
    import asyncio

Frame = dict[str, Any]

MAX_BYTES = 16 * 1024 * 1024
"""No frame is longer; a larger length means that something else was written to the pipe."""

_LENGTH = struct.Struct(">I")


def pack(kind: str, /, **fields: object) -> bytes:
    """One frame of that kind."""
    body: bytes = msgpack.packb({"type": kind, **fields}, use_bin_type=True)
    return _LENGTH.pack(len(body)) + body


def read(source: BinaryIO) -> Frame | None:
    """The next frame, None at the end of the input, even inside a frame. Blocks. Raises ValueError for no frame."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _size(head)
    body = source.read(size)
    return _unpack(body) if len(body) == size else None


class Receiver:
    """Frames from an asyncio stream. Cancel-safe: a cancelled `receive` loses nothing."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        self._source = source
        self._expected: int | None = None  # size of the frame whose head was read already

    async def receive(self) -> Frame:
        """The next frame. Raises asyncio.IncompleteReadError at the end of the input, ValueError for no frame."""
        if self._expected is None:
            self._expected = _size(await self._source.readexactly(_LENGTH.size))
        body = await self._source.readexactly(self._expected)
        self._expected = None
        return _unpack(body)


def _size(head: bytes) -> int:
    (size,) = _LENGTH.unpack(head)
    if size > MAX_BYTES:
        raise ValueError(f"a frame of {size} bytes")
    return int(size)


def _unpack(body: bytes) -> Frame:
    try:
        frame = msgpack.unpackb(body)
    except msgpack.UnpackException as exc:
        raise ValueError("not msgpack") from exc
    if not isinstance(frame, dict) or "type" not in frame:
        raise ValueError("not a frame")
    return frame
