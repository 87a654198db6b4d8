"""What a JetStream server answers: acks of publishes, and errors. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orastream.api_errors import Meaning, code_of, described, meaning
from orastream.errors import NodeUnavailable, OrastreamError, PublishRefused, SequenceConflict, StreamFull


@dataclass(frozen=True, slots=True)
class Ack:
    """A stream's answer to a publish; `duplicate` when the message id was known (sequence is the first one's)."""

    sequence: int
    duplicate: bool


def parse_ack(subject: str, data: bytes) -> Ack:
    """A publish ack.

    Raises SequenceConflict, StreamFull or PublishRefused as the stream refused it, NodeUnavailable for what may pass.
    """
    answer = json_of(subject, data)
    error = answer.get("error")
    if error:
        raise _refusal(subject, error)
    return Ack(int(answer["seq"]), bool(answer.get("duplicate")))


def _refusal(subject: str, error: dict[str, Any]) -> OrastreamError:
    code, text = code_of(error), str(error.get("description", ""))
    match meaning(error):
        case Meaning.CONFLICT:
            return SequenceConflict(subject, code, text)
        case Meaning.FULL:
            return StreamFull(subject, code, text)
        case Meaning.MESSAGE:
            return PublishRefused(subject, code, text)
    return NodeUnavailable(f"{subject}: {described(error)}")


def error_in(answer: bytes) -> Meaning | None:
    """What the error in an answer means; None when it has none."""
    if b'"error"' not in answer:  # most have none, and are read by the caller anyway
        return None
    try:
        return meaning(json.loads(answer)["error"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def json_of(what: str, data: bytes) -> dict[str, Any]:
    """The JSON object in an answer. Raises NodeUnavailable when it is none."""
    try:
        value = json.loads(data)
    except ValueError:
        raise NodeUnavailable(f"{what}: the answer is not JSON; is the subject a stream's?") from None
    if not isinstance(value, dict):
        raise NodeUnavailable(f"{what}: the answer is not a JSON object")
    return value
