"""G.711, µ-law and A-law: one byte for each sample. Source: ITU-T G.711 (11/88), tables 1a and 2a.

Samples of 16 bits have more bits than the laws know: 14 of µ-law, 13 of A-law. The lower ones are cut off, as in the
reference code of ITU-T G.191 (`alaw_compress`). A sample of -1 so belongs to the first interval below 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

_BIAS = 0x84
_CLIP = 32_635


def _samples() -> Any:
    """Returns the 65 536 sample values, in the order of their bits as unsigned numbers."""
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


@cache
def _mulaw_table() -> Any:
    """Returns the µ-law byte for each sample value, indexed by the sample's bits as an unsigned number."""
    sample = _samples()
    sign = np.where(sample < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (segment + 3)) & 0x0F
    return (~(sign | (segment << 4) | mantissa) & 0xFF).astype(np.uint8)


@cache
def _alaw_table() -> Any:
    """Returns the A-law byte for each sample value, indexed as in `_mulaw_table`.

    16 steps in each of eight segments; the first two segments have the same step, each other one twice that before it.
    Every second bit is inverted (table 1a, note 2).
    """
    sample = _samples()
    sign = np.where(sample < 0, 0, 0x80)
    magnitude = np.where(sample < 0, ~sample, sample) >> 4  # 11 bits
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    mantissa = (magnitude >> np.maximum(segment - 1, 0)) & 0x0F
    return ((sign | (segment << 4) | mantissa) ^ 0x55).astype(np.uint8)


class G711Encoder:
    """Encodes each sample alone; it has no state, so a file can be continued at any sample."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def push(self, pcm: bytes) -> bytes:
        """See Encoder."""
        data: bytes = self._table[np.frombuffer(pcm, dtype="<u2")].tobytes()
        return data

    def finish(self) -> bytes:
        """See Encoder."""
        return b""


def encoder(fmt: str, _rate_hz: int, _tags: Mapping[str, str]) -> G711Encoder:
    """Returns a new encoder of `mulaw` or `alaw`; the file has no header, and so no tags."""
    return G711Encoder(_alaw_table() if fmt == "alaw" else _mulaw_table())
