"""The frames of OraServer protocol v1 as bytes: `init`, chunks, `complete` and the end frame. Pure.

A chunk frame is built from a template that is made once per text; only index and base64 are new. `json.dumps` would
scan each byte of the audio again, which took a quarter of the CPU of a simple forwarder.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from pybase64 import b64encode

from orastream.contract.audio import extension_of
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.delivery.sink import Speech, SpeechEnd

BEFORE_AUDIO = b'{"audioDataBase64":"'


def header_value(identifier: str) -> str:
    """An id as an HTTP header value: printable ASCII unchanged, any other id as percent-encoded UTF-8."""
    if identifier.isascii() and identifier.isprintable():
        return identifier
    return quote(identifier, safe="")


def init_frame(session_id: str, phone_id: str) -> bytes:
    """The first frame of a connection. Its ids are not encoded; they take precedence over those of the headers."""
    return _json({"type": "init", "session_id": session_id, "phone_id": phone_id})


def end_frame(end: SpeechEnd) -> bytes:
    """The frame of an utterance that has ended without `complete`, or that is cancelled while it plays."""
    return _json({"status": end.status, "metadata": end.speech.metadata(end.start, end.text)})


class FrameTemplate:
    """Makes the frames of one utterance, or of one sentence of it. `text` replaces the request's text."""

    def __init__(self, speech: Speech, start: AudioStart, text: str | None = None) -> None:
        extension = extension_of(start.format)
        self._metadata = _json(speech.metadata(start, text))
        self._after_audio = b'","fileName":' + _json(f"{speech.token}.{extension}") + b',"chunkIndex":'
        self._end = b',"metadata":' + self._metadata + b"}"

    def chunk(self, chunk: AudioChunk) -> tuple[bytes, bytes, bytes]:
        """The frame of one chunk: UTF-8 JSON in three parts. Joining them would copy the audio once more."""
        index = chunk.index
        which = b'0,"isFirst":true' if index == 0 else b'%d,"isFirst":false' % index
        return BEFORE_AUDIO, b64encode(chunk.audio), self._after_audio + which + self._end

    def complete(self, total_chunks: int) -> bytes:
        """The frame that ends an utterance after its last chunk."""
        return b'{"status":"complete","totalChunks":%d' % total_chunks + self._end


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
