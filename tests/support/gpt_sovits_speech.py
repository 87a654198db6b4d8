"""The audio of the tests' GPT-SoVITS server: a tone for each segment, so that a test can check which text was spoken.

Also its error texts and its faults.
"""

from __future__ import annotations

import io
import re
import wave
import zlib
from typing import Any, Literal

import numpy as np

LANGUAGES = ("auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko")
FAILURE_HZ = 16_000
SECONDS_A_CHARACTER = 0.05

Fault = Literal[
    "mute",  # no byte, not even a status line
    "break early",  # a status line, then it closes
    "break",  # it closes in mid-stream
    "stall",  # the header and some samples, then nothing
    "trickle",  # the header and some samples, then a zero every 100 ms
    "trickle at first",  # the header, then a zero every 100 ms
    "slow",  # some samples every 50 ms
    "endless",  # after the sentence its first segment again and again, as fast as the client reads
    "endless silence",  # zeros as for a failure inside inference, which never end
    "inference",  # a failure inside inference
    "inference later",  # the same after the first segment
    "server error",  # 500 in HTML
    "deep refusal",  # 400 with JSON that is nested 30 000 deep
    "rude refusal",  # 400 with ESC and a bidi control in its words
    "not wav",
    "half a sample",  # half a sample after the last one
    "short file",  # mode 0: fewer bytes than announced
    "closing",  # mode 0: a whole file, then it closes the connection
    "closing, announced",  # the same, with Content-Length
    "short wav",  # mode 0: fewer bytes than the WAV header says, then it closes
]


def tone(text: str, rate_hz: int, speed: float = 1.0) -> bytes:
    """PCM16 of one segment: the text's length sets the duration, its letters set the pitch."""
    samples = np.arange(int(len(text) * SECONDS_A_CHARACTER / speed * rate_hz))
    hertz = 200 + zlib.crc32(text.encode()) % 600
    data: bytes = np.rint(8000 * np.sin(2 * np.pi * hertz * samples / rate_hz) + 50).astype("<i2").tobytes()
    return data


def segments(text: str) -> list[str]:
    """The text split at each punctuation mark, as `cut5` does."""
    return [part for part in re.findall(r"[^,.!?;:、，。？！…]+[,.!?;:、，。？！…]*", text) if re.search(r"\w", part)]


def speech(text: str, rate_hz: int, speed: float = 1.0, interval_s: float = 0.3) -> bytes:
    """All samples of a sentence: the tone of each segment and the pause after it."""
    pause = bytes(2 * int(rate_hz * interval_s))
    return b"".join(tone(segment, rate_hz, speed) + pause for segment in segments(text))


def wav(pcm: bytes, rate_hz: int) -> bytes:
    """A WAV file; without samples, the header of a stream."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm)
    return file.getvalue()


def problem_of(fields: dict[str, Any]) -> str | None:
    """The message of the first check that fails, in the order of `check_params`; None if all pass."""
    for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
        value = fields.get(name)
        if value in (None, ""):
            return f"{name} is required"
        if name.endswith("_lang") and str(value).lower() not in LANGUAGES:
            return f"{name}: {value} is not supported in version v2"
    if fields.get("media_type", "wav") not in ("wav", "raw", "ogg", "aac"):
        return f"media_type: {fields['media_type']} is not supported"
    if fields.get("text_split_method", "cut5") not in [f"cut{n}" for n in range(6)]:
        return f"text_split_method:{fields['text_split_method']} is not supported"
    if fields.get("streaming_mode", False) not in (0, 1, 2, 3):
        return "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)"
    return None
