"""The part of an utterance's file that may still have to be sent, and the times of its bytes. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import NamedTuple


class _Chunk(NamedTuple):
    offset: int
    data: bytes


class FileWindow:
    """The bytes from `base` to `end` of a file, from stored chunks in order. `release` frees what is not needed."""

    def __init__(self, base: int, bytes_per_s: float) -> None:
        """`bytes_per_s`: about how many bytes a second of audio has. It is used until the chunks show it."""
        self.base = self.end = base
        self._first_ms_per_byte = 1000 / bytes_per_s
        self._chunks: deque[_Chunk] = deque()
        self._marks: list[tuple[int, int]] = []
        """(offset, ms) where chunks begin; one before `base` is kept, for the times of what follows."""

    def append(self, offset: int, data: bytes, ms: int) -> None:
        """Add the next chunk, which begins at `ms`. What of it is before `end` is left out.

        Raises ValueError if it does not begin at `end` or before it.
        """
        if offset > self.end:
            raise ValueError(f"a chunk at {offset} does not follow the byte {self.end}")
        if not self._marks or offset > self._marks[-1][0]:
            self._marks.append((offset, ms))
        new = data[self.end - offset :] if offset < self.end else data
        if new:
            self._chunks.append(_Chunk(self.end, new))
            self.end += len(new)

    def read(self, first: int, past: int) -> bytes:
        """Return the bytes of a range between `base` and `end`."""
        parts = []
        for chunk in self._chunks:
            if chunk.offset >= past:
                break
            if chunk.offset + len(chunk.data) > first:
                low, high = max(first - chunk.offset, 0), past - chunk.offset
                parts.append(chunk.data if not low and high >= len(chunk.data) else chunk.data[low:high])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self, upto: int) -> None:
        """Forget chunks that end at `upto` or before."""
        chunks = self._chunks
        while chunks and chunks[0].offset + len(chunks[0].data) <= upto:
            self.base = chunks[0].offset + len(chunks[0].data)
            chunks.popleft()
        self.base = max(self.base, min(upto, self.end))
        if (kept := bisect_right(self._marks, (self.base, 1 << 62)) - 1) > 0:
            del self._marks[:kept]

    def ms_of_chunk(self, offset: int) -> int | None:
        """The time at which the chunk that begins at `offset` begins; None if none begins there."""
        at = bisect_right(self._marks, (offset, 1 << 62)) - 1
        return self._marks[at][1] if at >= 0 and self._marks[at][0] == offset else None

    def ms_at(self, offset: int) -> float:
        """The time of a byte, estimated within its chunk by the bytes for each millisecond so far."""
        at = bisect_right(self._marks, (offset, 1 << 62)) - 1
        if at < 0:
            return 0.0
        begin, ms = self._marks[at]
        if at + 1 < len(self._marks):
            next_begin, next_ms = self._marks[at + 1]
            return ms + (offset - begin) * (next_ms - ms) / (next_begin - begin)
        return ms + (offset - begin) * (ms / begin if begin and ms else self._first_ms_per_byte)
