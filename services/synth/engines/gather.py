"""Gathers small pieces of audio into larger ones. Pure.

Each piece costs the engine process, the pipe and synth about the same, whatever its size. A fast engine gives a
sentence in tens of pieces of 60 ms. Gathered, the first audio comes after two of them, and later pieces have up to
MAX_BYTES.
"""

from __future__ import annotations

FIRST_BYTES = 6 * 1024
"""Bound of the first gathered piece: at 22 050 Hz two pieces of 60 ms, which are enough for the first chunk."""
MAX_BYTES = 32 * 1024
"""Bound of a gathered piece: at 22 050 Hz 740 ms, as much as a chunk."""


class Gathering:
    """The pieces of one sentence. Each gathered piece may be twice as large as the one before. Not thread-safe."""

    def __init__(self, first_bytes: int = FIRST_BYTES, max_bytes: int = MAX_BYTES) -> None:
        self._target = first_bytes
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._size = 0

    def push(self, pcm: bytes) -> bytes:
        """Takes a piece; returns the gathered one if one more piece of that size does not fit into it, else b""."""
        self._held.append(pcm)
        self._size += len(pcm)
        if self._size + len(pcm) <= self._target:
            return b""
        self._target = min(2 * self._target, self._max_bytes)
        return self.rest()

    def rest(self) -> bytes:
        """Returns what is gathered; b"" if nothing is."""
        gathered = b"".join(self._held)
        self._held.clear()
        self._size = 0
        return gathered
