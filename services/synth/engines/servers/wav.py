"""Reads samples from the bytes of an answer: a WAV header, with data size 0 or the true size, then PCM16. Pure.

api_v2.py sends size 0 in the streaming modes and the true size in mode 0. A proxy may write another placeholder, like
0xFFFFFFFF. A size is used only if one sentence can have it.
"""

from __future__ import annotations

from dataclasses import dataclass

_RIFF_BYTES, _CHUNK_BYTES, _FORMAT_BYTES = 12, 8, 16
_LONGEST_HEADER = 4096
_PCM, _EXTENSIBLE = 1, 0xFFFE
_MAX_DATA_BYTES = 1 << 28  # three quarters of an hour at 48 kHz


@dataclass(frozen=True, slots=True)
class _Header:
    rate_hz: int
    bytes: int
    data_bytes: int | None
    """None: the data ends with the answer."""


class WavReader:
    """Takes an answer in pieces of any size and returns whole samples. Not thread-safe."""

    def __init__(self) -> None:
        self.rate_hz: int | None = None
        """Rate of the samples; None until the header is complete."""
        self._pending = b""
        self._left: int | None = None

    @property
    def missing_bytes(self) -> int:
        """Bytes that the header has announced and that did not come yet; 0 if it does not announce a size."""
        return max((self._left or 0) - len(self._pending), 0)

    def push(self, data: bytes) -> bytes:
        """Returns the samples that these bytes complete; none before the header is complete.

        Half a sample at the end of an answer is dropped. Raises ValueError for anything but WAV with mono PCM16.
        """
        data = self._pending + data
        if self.rate_hz is None:
            header = _header(data)
            if header is None:
                self._pending = data
                return b""
            self.rate_hz, self._left = header.rate_hz, header.data_bytes
            data = data[header.bytes :]
        if self._left is not None:
            data = data[: self._left]
        whole = len(data) - len(data) % 2
        self._pending = data[whole:]
        if self._left is not None:
            self._left -= whole
        return data[:whole]


def _header(data: bytes) -> _Header | None:
    """Returns None while the header is not complete. Raises ValueError for anything but mono PCM16."""
    if not b"RIFF".startswith(data[:4]) or not b"WAVE".startswith(data[8:12]):
        raise ValueError("it is not WAV")
    at, rate_hz = _RIFF_BYTES, None
    while at + _CHUNK_BYTES <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += _CHUNK_BYTES
        if kind == b"data":
            if rate_hz is None:
                raise ValueError("its data comes before its format")
            return _Header(rate_hz, at, size if 0 < size <= _MAX_DATA_BYTES else None)
        if at + size > _LONGEST_HEADER:
            raise ValueError("its header does not end")
        if kind == b"fmt ":
            if at + _FORMAT_BYTES > len(data):
                return None
            rate_hz = _rate(data[at : at + _FORMAT_BYTES])
        at += size + size % 2
    return None


def _rate(fmt: bytes) -> int:
    code, channels, bits = (int.from_bytes(fmt[i : i + 2], "little") for i in (0, 2, 14))
    rate_hz = int.from_bytes(fmt[4:8], "little")
    if code not in (_PCM, _EXTENSIBLE) or channels != 1 or bits != 16 or not 8_000 <= rate_hz <= 192_000:
        raise ValueError(f"it is not mono PCM16: {channels} channels, {bits} bits, {rate_hz} Hz")
    return rate_hz
