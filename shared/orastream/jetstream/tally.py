"""Counts the messages of one subject in a stream, with one request to the stream's leader."""

from __future__ import annotations

from typing import NamedTuple

from orastream.jetstream import management
from orastream.jetstream.api import JetStream


class Tally(NamedTuple):
    """`first_seq` is the lowest sequence in the whole stream; `messages` is the number stored under the subject."""

    first_seq: int
    messages: int


async def tally(js: JetStream, stream: str, subject: str) -> Tally:
    """Count the stored messages of a literal `subject`. Raises NodeUnavailable. Cancel-safe.

    The server has an index in memory, so the cost does not depend on how many messages or bytes are stored.
    """
    answer = await management.stream_info(js, stream, subjects=subject)
    state = management.checked(stream, answer, "state")["state"]
    return Tally(int(state["first_seq"]), int((state.get("subjects") or {}).get(subject, 0)))
