"""Reads samples from the bytes of an answer: raw PCM16 with the declared rate, or WAV. Pure."""

from __future__ import annotations

import re

from services.synth.engines.servers.wav import WavReader

_BYTES = 2
_MAGIC_BYTES = 12


class SpeechAudio:
    """Takes an answer in pieces of any size and returns whole samples. Not thread-safe.

    Some servers send WAV although PCM was asked for, so an answer that begins like a WAV file is read as one.
    """

    def __init__(self, rate_hz: int, content_type: str = "", *, wav: bool = False) -> None:
        """`rate_hz` is the rate of PCM. Raises ValueError for a content type with several channels."""
        self.rate_hz: int | None = None
        """Rate of the samples; None until it is known."""
        parameters = dict(re.findall(r";\s*(rate|channels)\s*=\s*\"?(\d{1,6})", content_type.lower()))
        if parameters.get("channels", "1") != "1":
            raise ValueError(f"it is not mono PCM16: {parameters['channels']} channels")
        said_hz = int(parameters.get("rate", "0"))
        self._pcm_hz = said_hz if 8_000 <= said_hz <= 192_000 else rate_hz
        self._wav = WavReader() if wav else None
        self._pending = b""

    @property
    def missing_bytes(self) -> int:
        """Bytes that the header of a WAV file has announced and that did not come yet; 0 without a size."""
        return self._wav.missing_bytes if self._wav is not None else 0

    def push(self, data: bytes) -> bytes:
        """Returns the samples that these bytes complete. Raises ValueError for a file that is not mono PCM16."""
        if self._wav is None and self.rate_hz is None:
            data = self._pending + data
            if len(data) < _MAGIC_BYTES and b"RIFF".startswith(data[:4]):
                self._pending = data
                return b""
            self._pending = b""
            if data.startswith(b"RIFF") and data[8:_MAGIC_BYTES] == b"WAVE":
                self._wav = WavReader()
            else:
                self.rate_hz = self._pcm_hz
        if self._wav is not None:
            pcm = self._wav.push(data)
            self.rate_hz = self._wav.rate_hz
            return pcm
        data = self._pending + data
        whole = len(data) - len(data) % _BYTES
        self._pending = data[whole:]
        return data[:whole]

    def end(self) -> bytes:
        """Returns the last samples after a complete answer. Half a sample is dropped."""
        if self._wav is None and self.rate_hz is None and self._pending:
            self.rate_hz = self._pcm_hz
            return self._pending[: len(self._pending) - len(self._pending) % _BYTES]
        return b""
