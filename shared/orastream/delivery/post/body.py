"""The body of an utterance's POST: JSON with the audio in base64, and with the WAV's true sizes. Pure.

Only the raw audio is held in memory; the base64 is made piece by piece while the body is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pybase64

from orastream.contract.audio import extension_of, with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.sink import Speech

PIECE_BYTES = 3 * (32 << 10)
"""A multiple of 3, so that only the last piece has base64 padding and the joined pieces are valid base64."""

END = b"}"
"""The last byte, after all `pieces`. Without it the body is not valid JSON."""


class Body:
    """Collects the chunks of one utterance and makes the body of its POST."""

    def __init__(self, speech: Speech, start: AudioStart) -> None:
        self._speech = speech
        self._start = start
        self._head = b'{"audioDataBase64":"'
        self._tail = b""
        self._audio = bytearray()

    def add(self, chunk: AudioChunk) -> None:
        """Append the next chunk of the file."""
        self._audio += chunk.audio

    def finish(self, text: str | None = None) -> None:
        """Prepare the body after the last chunk; a WAV gets its true sizes. `text` replaces the request's text."""
        speech, start = self._speech, self._start
        metadata = speech.metadata(start, text)
        tail = {"fileName": f"{speech.token}.{extension_of(start.format)}", "metadata": metadata}
        self._tail = b'",' + json.dumps(tail, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]
        if self._start.format == "wav":
            with_true_sizes(self._audio)

    @property
    def content_length(self) -> int:
        """Size of the body in bytes: the sum of all `pieces` and of END."""
        return len(self._head) + 4 * -(-len(self._audio) // 3) + len(self._tail) + len(END)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body from its beginning, without END. May be called again."""
        yield self._head
        view = memoryview(self._audio)
        for offset in range(0, len(view), PIECE_BYTES):
            yield pybase64.b64encode(view[offset : offset + PIECE_BYTES])
        yield self._tail
