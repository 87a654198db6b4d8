"""The one POST of an utterance as a stream of bytes: JSON around base64, with the WAV's true sizes. Pure.

The audio is kept once, as it came; the body is made piece by piece while it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pybase64

from orastream.contract.audio import extension_of, with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.sink import Speech

PIECE_BYTES = 3 * (32 << 10)
"""A multiple of three, so that the base64 of the pieces joined is that of the whole."""


class Body:
    """Collects the chunks of one utterance, then gives the POST's body."""

    def __init__(self, speech: Speech, start: AudioStart) -> None:
        self._speech = speech
        self._start = start
        self._head = b'{"audioDataBase64":"'
        self._tail = b""
        self._audio = bytearray()

    def add(self, chunk: AudioChunk) -> None:
        """The next chunk of the file."""
        self._audio += chunk.audio

    def finish(self, text: str | None = None) -> None:
        """All chunks are there: a WAV gets its true sizes. `text` goes before that of the request."""
        speech, start = self._speech, self._start
        metadata = {
            "sessionId": speech.session_id,
            "requestId": speech.request_id,
            "phoneId": speech.phone_id,
            "text": speech.text if text is None else text,
            "engine": start.engine,
            "language": start.language,
        }
        tail = {"fileName": f"{speech.token}.{extension_of(start.format)}", "metadata": metadata}
        self._tail = b'",' + json.dumps(tail, ensure_ascii=False, separators=(",", ":")).encode()[1:]
        if self._start.format == "wav":
            with_true_sizes(self._audio)

    @property
    def content_length(self) -> int:
        """Bytes that `pieces` gives in all."""
        return len(self._head) + 4 * -(-len(self._audio) // 3) + len(self._tail)

    def pieces(self) -> Iterator[bytes]:
        """The body from its beginning; may be asked for again."""
        yield self._head
        view = memoryview(self._audio)
        for offset in range(0, len(view), PIECE_BYTES):
            yield pybase64.b64encode(view[offset : offset + PIECE_BYTES])
        yield self._tail
