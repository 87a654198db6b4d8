"""What a JetStream server answers: acks of publishes, and errors. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orastream.contract.errors import NodeUnavailable, OrastreamError, PublishRefused, SequenceConflict, StreamFull
from orastream.jetstream.api_errors import Meaning, code_of, described, meaning


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
    if error := answer.get("error"):
        raise _refusal(subject, error)
    sequence = answer.get("seq")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise NodeUnavailable(f"{subject}: the answer is no publish ack; does something else answer there?")
    return Ack(sequence, answer.get("duplicate") is True)


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
        error = json_of("", answer).get("error")
    except NodeUnavailable:
        return None
    return meaning(error) if error else None


def json_of(what: str, data: bytes) -> dict[str, Any]:
    """The JSON object in an answer; its `error`, if it has one, is an object too. Raises NodeUnavailable for others."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise NodeUnavailable(f"{what}: the answer is not JSON; is the subject a stream's?") from None
    if not isinstance(value, dict):
        raise NodeUnavailable(f"{what}: the answer is not a JSON object")
    if not isinstance(value.get("error") or {}, dict):
        raise NodeUnavailable(f"{what}: the answer's error is not a JSON object")
    return value
