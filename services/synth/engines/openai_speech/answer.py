"""What the status and the headers of a speech server's answer mean, and what of its message may be quoted. Pure.

| status | meaning |
|---|---|
| 200 with audio | the speech |
| 200 with something else | the server fails |
| 3xx | the address is wrong: a redirect is not followed, because it would get the key |
| 401, 403 | it does not accept the key |
| 404 | it does not have the voice or the model, another server may have it |
| 408, 409, 425, 5xx | the server fails |
| 429, and 503 with Retry-After | it asks to wait |
| other 4xx | it refuses this sentence, as every server would |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any

from services.synth.engines.servers.quoting import SEE_LOG, json_object, plain, quotable

KEY_PROBLEM = "answered {status}: it does not accept the key; set OPENAI_SPEECH_API_KEY"
"""What is wrong with a server that does not accept the key."""
DEFAULT_REST_S = 1.0
MIN_REST_S, MAX_REST_S = 0.25, 30.0
_FAILURES_BELOW_500 = (408, 409, 425)
_CODED = ("mpeg", "mp3", "ogg", "opus", "flac", "aac", "mp4", "m4a", "webm", "mulaw", "pcmu", "pcma", "basic")
_FIELDS = {"input": "text", "voice": "voice", "speed": "speed", "language": "language"}
"""Fields of the API that a request to the node determines, and the node's names for them."""


class AnswerKind(Enum):
    """What an answer means."""

    SPEECH = auto()
    FAILED = auto()
    KEY_REFUSED = auto()
    NOT_THERE = auto()
    BUSY = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer, without its body."""

    kind: AnswerKind
    problem: str = ""
    """Continues a text that names the server's address; empty for speech."""
    rest_s: float = 0.0
    """For BUSY: after how many seconds the server may be asked again."""


def judge(status: int, content_type: str, content_encoding: str, retry_after: str, now: datetime) -> JudgedAnswer:
    """Returns what an answer with this status and these headers means. `now` is for a date in Retry-After."""
    if 200 <= status < 300:
        problem = _not_audio(content_type, content_encoding)
        return JudgedAnswer(AnswerKind.FAILED, problem) if problem else JudgedAnswer(AnswerKind.SPEECH)
    if 300 <= status < 400:
        return JudgedAnswer(
            AnswerKind.FAILED, f"answered {status}, a redirect; name its new address in OPENAI_SPEECH_URLS"
        )
    if status in (401, 403):
        return JudgedAnswer(AnswerKind.KEY_REFUSED, KEY_PROBLEM.format(status=status))
    if status == 404:
        return JudgedAnswer(AnswerKind.NOT_THERE, "answered 404: it does not have this voice, model or path")
    if status == 429 or (status == 503 and retry_after.strip()):
        rest_s = rest_seconds(retry_after, now)
        return JudgedAnswer(AnswerKind.BUSY, f"answered {status}: it asks to wait for {rest_s:g} s", rest_s)
    if status >= 500 or status < 200 or status in _FAILURES_BELOW_500:
        return JudgedAnswer(AnswerKind.FAILED, f"answered {status}")
    return JudgedAnswer(AnswerKind.REFUSED, f"refuses this sentence with status {status}")


def _not_audio(content_type: str, content_encoding: str) -> str:
    """Returns what is wrong with the type of a successful answer, or an empty string."""
    if content_encoding.strip().lower() not in ("", "identity"):
        return f"sent a compressed answer ({plain(content_encoding)}), although none was asked for"
    kind = content_type.partition(";")[0].strip().lower()
    main, _, sub = kind.partition("/")
    if kind == "" or kind in ("application/octet-stream", "binary/octet-stream"):
        return ""
    if main != "audio":
        return f"sent {plain(kind)} instead of audio"
    if any(coded in re.split(r"[-.+]|(?<=x)-", sub) for coded in _CODED):
        return f"sent {plain(kind)} instead of PCM or WAV; does it know response_format pcm? set format: wav"
    return ""


def rest_seconds(retry_after: str, now: datetime) -> float:
    """Returns the seconds that a Retry-After header asks for: a number or a date (RFC 9110, 10.2.3).

    At least MIN_REST_S and at most MAX_REST_S; DEFAULT_REST_S without a valid header.
    """
    said = retry_after.strip()
    try:
        seconds = float(said) if re.fullmatch(r"\d+(\.\d+)?", said) else _until(said, now)
    except (ValueError, TypeError, OverflowError):
        seconds = DEFAULT_REST_S
    return min(max(seconds, MIN_REST_S), MAX_REST_S)


def _until(date: str, now: datetime) -> float:
    until = parsedate_to_datetime(date)
    return ((until if until.tzinfo is not None else until.replace(tzinfo=UTC)) - now).total_seconds()


def reason(body: bytes, sentence: str, secret: str = "") -> str:
    """Returns the server's own message from the body of an error, to be added to `JudgedAnswer.problem`; may be empty.

    A message that quotes a word of the sentence, or the key, is left out.
    """
    said = quotable(_message(json_object(body)), sentence, secret)
    return f" {said}" if said == SEE_LOG else said and f": {said}"


def refused_field(body: bytes) -> str:
    """Returns the node's name of the request field that the server refuses; `text` if it does not say which.

    `voice` for all fields that a request to the node does not have, such as `model`: the voice determines them.
    """
    said = json_object(body)
    error, detail = said.get("error"), said.get("detail")
    param = error.get("param") if isinstance(error, Mapping) else None
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping):  # FastAPI: {"loc": ["body", "speed"]}
        place = detail[0].get("loc")
        param = place[1] if isinstance(place, list) and len(place) > 1 and place[0] == "body" else param
    return _FIELDS.get(param, "voice") if isinstance(param, str) and param else "text"


def _message(said: Mapping[str, Any]) -> object:
    """Returns the text of an error in OpenAI's form, in FastAPI's (`detail`), or with a plain `message`."""
    for value in (said.get("error"), said.get("detail"), said):
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, Mapping):
            value = next((text for key in ("message", "msg", "detail") if (text := value.get(key))), None)
        if plain(value):
            return value
    return None
