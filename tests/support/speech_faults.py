"""What the tests' speech server does on demand."""

from __future__ import annotations

import io
import json
import struct
import wave
from typing import Literal

SpeechFault = Literal[
    "mute",  # no byte
    "trickling head",  # a byte of the head every 50 ms
    "endless continue",  # 100 Continue, again and again
    "huge head",  # a header of 1 MiB
    "many headers",  # 10 000 headers
    "not http",
    "close",  # no byte, then it closes
    "json with 200",
    "json, quoting",  # 200 with JSON that quotes the text
    "html with 200",
    "mp3 with 200",
    "400",
    "400 voice",
    "401",
    "403",
    "404",
    "408",
    "413",
    "422",
    "429",
    "429 for long",
    "500",
    "503 with retry-after",
    "redirect",
    "deep error",  # 400 with JSON that is nested 30 000 deep
    "rude error",  # 400 with ESC and a bidi control
    "long error",  # 500 with a body that never ends
    "trickling error",  # 500 with a byte of its body every 50 ms
    "stereo",
    "8 bit",
    "float",
    "no wav",  # a text where WAV was asked for
    "wav cut short",
    "gzip",
    "gzip, chunked",  # as a transfer encoding
    "empty",
    "half a sample",
    "silent body",  # a head, then nothing
    "trickle",  # a zero byte every 50 ms
    "stall",  # some samples, then nothing
    "reset",
    "early close",
    "close before audio",
    "bad chunk",
    "negative chunk",
    "endless trailer",
    "endless",  # the sentence again and again, as fast as the client reads
    "slow",  # 50 ms of audio every 50 ms
]

BUSY = 0.5
"""Seconds that `429` asks to wait."""


def _json(message: str, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "param": param, "code": None}}).encode()


_JSON = "application/json"
STATUSES: dict[SpeechFault, tuple[int, dict[str, str], str, bytes]] = {
    "json with 200": (200, {}, _JSON, _json("the model is still loading")),
    "json, quoting": (200, {}, _JSON, _json("cannot read 만나서")),
    "html with 200": (200, {}, "text/html; charset=utf-8", b"<html>welcome</html>"),
    "mp3 with 200": (200, {}, "audio/mpeg", b"ID3\x04\x00" + bytes(100)),
    "400": (400, {}, _JSON, _json("input is too long", "input")),
    "400 voice": (400, {}, _JSON, _json("no such voice", "voice")),
    "401": (401, {}, _JSON, _json("Incorrect API key provided: secret-key")),
    "403": (403, {}, _JSON, _json("this key may not speak")),
    "404": (404, {}, _JSON, _json("model not found", "model")),
    "408": (408, {}, "", b""),
    "413": (413, {}, "text/plain", b"too large"),
    "422": (422, {}, _JSON, json.dumps({"detail": [{"loc": ["body"], "msg": "speed is too high"}]}).encode()),
    "429": (429, {"Retry-After": f"{BUSY}"}, _JSON, _json("too many requests")),
    "429 for long": (429, {"Retry-After": "3600"}, _JSON, _json("quota of secret-key is used up")),
    "500": (500, {}, _JSON, _json("CUDA error")),
    "503 with retry-after": (503, {"Retry-After": "1"}, "", b""),
    "redirect": (307, {"Location": "http://127.0.0.1:1/v1/audio/speech"}, "", b""),
    "deep error": (400, {}, _JSON, b"[" * 30_000),
    "rude error": (400, {}, _JSON, _json("\x1b[31mno\u202e")),
}


def _wav(channels: int, width: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(24_000)
        out.writeframes(bytes(2_400))
    return file.getvalue()


_FLOAT = (
    b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, 24_000, 96_000, 4, 32) + b"data\0\0\0\0" + bytes(400)
)

WRONG_FILES: dict[SpeechFault, bytes] = {
    "stereo": _wav(2, 2),
    "8 bit": _wav(1, 1),
    "float": _FLOAT,
    "no wav": b"sorry, no speech today",
    "wav cut short": _wav(1, 2)[:-1000],
}
