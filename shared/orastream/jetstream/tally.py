"""How many messages of one subject a stream holds: one answer of the stream's leader, without the messages."""

from __future__ import annotations

from typing import NamedTuple

from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream


class Tally(NamedTuple):
    """`first_seq` is the lowest sequence in the whole stream, `messages` how many the subject holds."""

    first_seq: int
    messages: int


async def tally(js: JetStream, stream: str, subject: str) -> Tally:
    """Count the stored messages of `subject`, a literal one. Raises NodeUnavailable. Cancel-safe.

    The server counts from an index in memory: the cost does not depend on how many messages or bytes are stored.
    """
    answer = await js.api(f"STREAM.INFO.{stream}", {"subjects_filter": subject})
    error, state = answer.get("error"), answer.get("state")
    if error or not isinstance(state, dict):
        raise NodeUnavailable(f"{stream}: {(error or {}).get('description', 'the answer holds no state')}")
    return Tally(int(state["first_seq"]), int((state.get("subjects") or {}).get(subject, 0)))
