"""Counts the messages of one subject, or of each subject, in a stream. The stream's leader answers from its index."""

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


async def subject_counts(
    js: JetStream, stream: str, subject: str, *, most: int | None = None
) -> tuple[dict[str, int], bool]:
    """The number of stored messages of each subject that matches `subject`, and whether these are all subjects.

    Asks for 100 000 subjects at a time, until it has `most`. Subjects that appear or disappear meanwhile may be
    missing. Raises NodeUnavailable. Cancel-safe.
    """
    counts: dict[str, int] = {}
    offset = 0
    while most is None or len(counts) < most:
        answer = await management.stream_info(js, stream, subjects=subject, offset=offset)
        page = management.checked(stream, answer, "state")["state"].get("subjects") or {}
        counts |= page
        offset += len(page)
        if not page or offset >= int(answer.get("total", 0)):
            return counts, True
    return counts, False
