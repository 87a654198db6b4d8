"""When the record of a session's owner is of no use any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """A record as read: its sequence, the session's token, and the bridge that it names (None: it names none)."""

    sequence: int
    session: str
    owner: str | None


def is_left(record: OwnerRecord, own_name: str, *, alive: bool, has_messages: bool) -> bool:
    """Whether the record may be deleted: its owner died and left it.

    `own_name` is the bridge that asks: its own records are those of its sessions. `has_messages`: a request or cancel
    of the session is stored. Then its wake-up brings a bridge, which takes the session over from the dead owner.
    """
    return record.owner != own_name and not alive and not has_messages
