"""When the record of a session's owner is of no use any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """A record as read: its sequence, the session's token, and the bridge that it names (None: it names none)."""

    sequence: int
    session: str
    owner: str | None


def is_left(*, serves: bool, has_messages: bool) -> bool:
    """Whether the record of a session may be deleted.

    `serves`: its owner may serve the session: it is alive. The bridge that asks knows of its own sessions whether it
    does: a record whose ack was lost names a bridge that does not know of it. `has_messages`: a request or cancel of
    the session is stored. Then its wake-up brings a bridge, which takes the session.
    """
    return not serves and not has_messages
