"""Parses the answers of a JetStream server: publish acks and errors. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orastream.contract.errors import NodeUnavailable, OrastreamError, PublishRefused, SequenceConflict, StreamFull
from orastream.jetstream.api_errors import Meaning, code_of, described, description_of, meaning


@dataclass(frozen=True, slots=True)
class Ack:
    """A publish ack. With `duplicate` the message id was known, and `sequence` is that of the first message."""

    sequence: int
    duplicate: bool


def parse_ack(subject: str, data: bytes) -> Ack:
    """Parse a publish ack.

    Raises SequenceConflict, StreamFull or PublishRefused when the stream refused the message, and NodeUnavailable for
    temporary errors and for answers that are not publish acks.
    """
    answer = json_of(subject, data)
    if error := answer.get("error"):
        raise _refusal(subject, error)
    sequence = answer.get("seq")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise NodeUnavailable(f"{subject}: the answer is not a publish ack; does another service answer this subject?")
    return Ack(sequence, answer.get("duplicate") is True)


def _refusal(subject: str, error: dict[str, Any]) -> OrastreamError:
    code, text = code_of(error), description_of(error)
    match meaning(error):
        case Meaning.CONFLICT:
            return SequenceConflict(subject, code, text)
        case Meaning.FULL:
            return StreamFull(subject, code, text)
        case Meaning.MESSAGE:
            return PublishRefused(subject, code, text)
    return NodeUnavailable(f"{subject}: {described(error)}")


def error_in(answer: bytes) -> Meaning | None:
    """The meaning of the error in an answer; None when the answer has no error or is not JSON."""
    if b'"error"' not in answer:  # saves parsing the JSON of most answers twice: the caller parses it too
        return None
    try:
        error = json_of("", answer).get("error")
    except NodeUnavailable:
        return None
    return meaning(error) if error else None


def json_of(what: str, data: bytes) -> dict[str, Any]:
    """The JSON object in an answer. Raises NodeUnavailable if the answer, or its `error`, is not a JSON object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise NodeUnavailable(f"{what}: the answer is not JSON; does a stream listen on this subject?") from None
    if not isinstance(value, dict):
        raise NodeUnavailable(f"{what}: the answer is not a JSON object")
    if not isinstance(value.get("error") or {}, dict):
        raise NodeUnavailable(f"{what}: the answer's error is not a JSON object")
    return value
