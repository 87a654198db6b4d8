"""What a `FakeNode` has stored, as JetStream stores it: messages with sequences, per stream. Pure, not thread-safe."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orastream.broker import NO_HEADERS, Headers
from orastream.jetstream.api import Stored

NO_MESSAGE = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject matches a filter with `*` for a token and `>` for the rest."""
    if "*" not in pattern and ">" not in pattern:
        return pattern == subject
    wanted, tokens = pattern.split("."), subject.split(".")
    for at, word in enumerate(wanted):
        if word == ">":
            return len(tokens) > at
        if at >= len(tokens) or word not in ("*", tokens[at]):
            return False
    return len(wanted) == len(tokens)


def header_block(fields: Mapping[str, str], status: str = "") -> Headers:
    """Headers as they come from a server."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Headers(f"NATS/1.0{' ' if status else ''}{status}\r\n{lines}\r\n".encode())


class MemoryStream:
    """One stream. With `one_each` it keeps the last message of a subject, as those of reports and heard records do."""

    def __init__(self, name: str, *, one_each: bool = False) -> None:
        self.name = name
        self.last_sequence = 0
        self._one_each = one_each
        self._by_subject: dict[str, list[Stored]] = {}
        self._subjects: dict[int, str] = {}
        self._ids: dict[str, int] = {}

    def repeated(self, message_id: str | None) -> int | None:
        """The sequence of the message that was stored with this id, or None."""
        return self._ids.get(message_id) if message_id is not None else None

    def add(self, subject: str, data: bytes, headers: Headers = NO_HEADERS) -> Stored:
        """Store a message and return it."""
        self.last_sequence += 1
        if (message_id := headers.get("Nats-Msg-Id")) is not None:
            self._ids[message_id] = self.last_sequence
        time = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        stored = Stored(subject, self.last_sequence, time, data, headers)
        before = [] if self._one_each else self._by_subject.setdefault(subject, [])
        before.append(stored)
        self._by_subject[subject] = before
        self._subjects[stored.sequence] = subject
        return stored

    def delete(self, sequence: int) -> None:
        """Delete a message. Nothing if it is not stored."""
        subject = self._subjects.pop(sequence, None)
        if subject is not None:
            self._by_subject[subject] = [m for m in self._by_subject[subject] if m.sequence != sequence]

    def after(self, pattern: str, sequence: int) -> list[Stored]:
        """The messages of a filter above a sequence, in order."""
        found = [m for subject in self._matching(pattern) for m in self._by_subject[subject] if m.sequence > sequence]
        return sorted(found, key=lambda message: message.sequence)

    def _matching(self, pattern: str) -> list[str]:
        if pattern in self._by_subject:
            return [pattern]
        return [subject for subject in self._by_subject if matches(pattern, subject)]

    def last(self, pattern: str) -> Stored | None:
        """The last message of a filter, or None."""
        found = self.after(pattern, 0)
        return found[-1] if found else None

    def answer(self, query: Mapping[str, Any]) -> bytes:
        """The answer to `$JS.API.STREAM.MSG.GET`: by sequence, the next or the last one of a subject."""
        if "last_by_subj" in query:
            found = self.last(str(query["last_by_subj"]))
        else:
            above = self.after(str(query.get("next_by_subj", ">")), int(query["seq"]) - 1)
            found = next((m for m in above if "next_by_subj" in query or m.sequence == query["seq"]), None)
        if found is None:
            return json.dumps(NO_MESSAGE).encode()
        message = {
            "subject": found.subject,
            "seq": found.sequence,
            "time": found.time,
            "data": base64.b64encode(found.data).decode(),
            "hdrs": base64.b64encode(found.headers.block).decode(),
        }
        return json.dumps({"message": message}).encode()


def place_headers(message: Stored, before: int) -> Headers:
    """The headers with which a stored message is sent to a reader who has those up to `before`."""
    return header_block(
        {
            "Nats-Subject": message.subject,
            "Nats-Sequence": str(message.sequence),
            "Nats-Time-Stamp": message.time,
            "Nats-Last-Sequence": str(before),
        }
    )


def ack(stream: str, sequence: int, *, duplicate: bool = False) -> bytes:
    """The ack of a publish."""
    fields: dict[str, object] = {"stream": stream, "seq": sequence}
    return json.dumps(fields | ({"duplicate": True} if duplicate else {})).encode()


def refusal(err_code: int, description: str) -> bytes:
    """The answer of a stream that does not store a message."""
    return json.dumps({"error": {"code": 503, "err_code": err_code, "description": description}}).encode()
