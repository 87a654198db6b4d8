"""Frames between synth (the host) and an engine process: a length (4 bytes, big-endian), then a msgpack map.

Host to process:
    speak  {id, sentence, voice, language, speed, rtf, skip_bytes, keep_skipped}   each id is used once
    more   {id, bytes}           the host took that many bytes; the process may send as many more
    stop   {id}                  end that sentence; it may have ended already
    quit   {}                    end the process; the end of the input means the same
Process to host:
    hello  {protocol}            the interpreter can run this project; the engine is not loaded yet
    ready  {name, version, deterministic, at_once, scales, sample_rate_hz, max_growth_mb, trained,
           voices: [[name, language, sample_rate_hz, also_speaks]],
           warm_up: [text, voice, language, whether it gave a sound]},
           or failed {kind, message}
    pcm    {id, pcm, words}      at most PIECE_BYTES of audio; empty: a keepalive
    done   {id, bytes, words}    size of the whole sentence, skipped bytes included
    error  {id, kind, message}   kind is the name of an exception in engines.base

`words` are the fields of each `base.SpokenWord` that the engine has reported since the last frame of that sentence. So
a word comes with the audio in which it ends, or before it, also if that audio is skipped. Absent if there are none.

For each sentence, the process sends at most WINDOW_BYTES and one piece that the host has not taken. Then that sentence
waits in the process. Other sentences continue.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import msgpack

Frame = dict[str, Any]

PROTOCOL = 5
"""Raise it when the frames change: host and process may come from two installations of different versions."""
WINDOW_BYTES = 128 * 1024
PIECE_BYTES = 32 * 1024
MAX_BYTES = 16 * 1024 * 1024
"""Largest frame body. A larger length means that something else was written to the pipe."""

_LENGTH = struct.Struct(">I")


def pack(kind: str, /, **fields: object) -> bytes:
    """Returns the bytes of one frame of that kind."""
    body: bytes = msgpack.packb({"type": kind, **fields}, use_bin_type=True)
    return _LENGTH.pack(len(body)) + body


def read(source: BinaryIO) -> Frame | None:
    """Returns the next frame, or None at the end of the input, also inside a frame. Blocks.

    Raises ValueError for bytes that are not a frame.
    """
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _size(head)
    body = source.read(size)
    return _unpack(body) if len(body) == size else None


class FrameSplitter:
    """Splits a stream of bytes into frames. Not thread-safe."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Returns the frames that these bytes complete.

        Raises ValueError for bytes that are not a frame; the stream cannot be read further then.
        """
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
    except (msgpack.UnpackException, RecursionError) as exc:
        raise ValueError("not msgpack") from exc
    if not isinstance(frame, dict) or "type" not in frame:
        raise ValueError("not a frame")
    return frame
