"""What passes between an engine's process and its host: msgpack maps, each behind its length (4 bytes, big-endian).

Host to process:
    speak  {id, sentence, voice, language, speed, rtf, skip_bytes, keep_skipped}   no id comes twice
    more   {id, bytes}           so much of its audio was taken: as much more may be on its way
    stop   {id}                  end that sentence; it may have ended already
    quit   {}                    as is the end of the input
Process to host:
    hello  {protocol}            the interpreter runs this project; the engine is not loaded yet
    ready  {name, version, deterministic, at_once, scales, sample_rate_hz, voices: [[name, language, sample_rate_hz]]},
           or failed {kind, message}
    pcm    {id, pcm}             at most PIECE_BYTES; an empty one is a sign of life
    done   {id, bytes}           of the whole sentence, skipped ones included
    error  {id, kind, message}   kind is the name of an exception in engines.base

Of each sentence at most WINDOW_BYTES of audio are on their way, and a piece more: one that is taken slowly waits in the
process, and the others' frames pass it by.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import msgpack

Frame = dict[str, Any]

PROTOCOL = 2
"""Changes with the above: host and process may come from two installations."""
WINDOW_BYTES = 128 * 1024
PIECE_BYTES = 16 * 1024
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


class FrameSplitter:
    """Frames from bytes as they come."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes. Raises ValueError for no frame; nothing can follow then."""
        data = self._held + data if self._held else data
        found, at = [], 0
        while len(data) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _size(data[at : at + _LENGTH.size])
            if len(data) < end:
                break
            found.append(_unpack(data[at + _LENGTH.size : end]))
            at = end
        self._held = data[at:]
        return found


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
