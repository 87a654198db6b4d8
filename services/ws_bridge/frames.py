"""OraServer protocol v1 as bytes: `init`, chunk frames and `complete`. Pure.

A chunk frame is joined by hand from a template made once per text, into which only index and base64 go:
`json.dumps` would look at each byte of the audio again (a quarter of a naive forwarder's CPU).
"""

from __future__ import annotations

import json
from urllib.parse import quote

from pybase64 import b64encode

from orastream.contract.audio import extension_of
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.sink import Speech

BEFORE_AUDIO = b'{"audioDataBase64":"'


def header_value(identifier: str) -> str:
    """An id as an HTTP header value: printable ASCII as it is, else percent-encoded UTF-8."""
    if identifier.isascii() and identifier.isprintable():
        return identifier
    return quote(identifier, safe="")


def init_frame(session_id: str, phone_id: str) -> bytes:
    """The first frame of a connection; its ids are unencoded and are what counts."""
    return _json({"type": "init", "session_id": session_id, "phone_id": phone_id})


class FrameTemplate:
    """Frames of one utterance; `text` instead of the request's, if what they carry has one of its own."""

    def __init__(self, speech: Speech, start: AudioStart, text: str | None = None) -> None:
        extension = extension_of(start.format)
        self._metadata = _json(
            {
                "sessionId": speech.session_id,
                "requestId": speech.request_id,
                "phoneId": speech.phone_id,
                "text": speech.text if text is None else text,
                "engine": start.engine,
                "language": start.language,
            }
        )
        self._after_audio = b'","fileName":' + _json(f"{speech.token}.{extension}") + b',"chunkIndex":'
        self._end = b',"metadata":' + self._metadata + b"}"

    def chunk(self, chunk: AudioChunk) -> tuple[bytes, bytes, bytes]:
        """The frame of one chunk, UTF-8 JSON in three parts; joining them would copy the audio once more."""
        index = chunk.index
        which = b'0,"isFirst":true' if index == 0 else b'%d,"isFirst":false' % index
        return BEFORE_AUDIO, b64encode(chunk.audio), self._after_audio + which + self._end

    def complete(self, total_chunks: int) -> bytes:
        """The frame that ends an utterance whose chunks were all sent."""
        return b'{"status":"complete","totalChunks":%d' % total_chunks + self._end


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
