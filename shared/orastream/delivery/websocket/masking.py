"""Builds masked WebSocket frames (RFC 6455, 5.2 and 5.3), faster than the library does."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the built extension
    from websockets.utils import apply_mask

MASK_PAGE_BYTES = 1024

FIN_TEXT, FIN_BINARY, FIN_PING = 0x81, 0x82, 0x89
_HEAD, _HEAD_16, _HEAD_64 = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")


class Masks:
    """Masking keys (RFC 6455, 5.3), all unpredictable and used once.

    They are read by the page, because `os.urandom` makes a system call each time.
    """

    def __init__(self) -> None:
        self._page = b""
        self._at = 0

    def next(self) -> bytes:
        """A new key of 4 bytes."""
        at = self._at
        if at >= len(self._page):
            self._page, at = os.urandom(MASK_PAGE_BYTES), 0
        self._at = at + 4
        return self._page[at : at + 4]


MASKS = Masks()
"""The keys of all connections of the process: a page for each would take 1 KB."""


def masked_frame(first: int, parts: Sequence[bytes], key: bytes) -> list[bytes]:
    """A complete masked frame (RFC 6455, 5.2 and 5.3), in pieces to be written one after the other.

    The bytes are those that `websockets` would build. It is faster, because it masks each part alone and joins none.
    """
    size = sum(map(len, parts))
    if size < 126:
        head = _HEAD.pack(first, 0x80 | size)
    elif size < 1 << 16:
        head = _HEAD_16.pack(first, 0x80 | 126, size)
    else:
        head = _HEAD_64.pack(first, 0x80 | 127, size)
    pieces = [head + key]
    for part in parts:
        pieces.append(apply_mask(part, key))
        turn = len(part) & 3
        if turn:
            key = key[turn:] + key[:turn]
    return pieces
