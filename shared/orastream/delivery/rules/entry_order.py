"""Which request of a session is first in some respect. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from orastream.delivery.rules.entry import Entry, Stage


class Firsts(NamedTuple):
    """The first requests of a session, each None if there is none."""

    head: Entry | None
    """The first one that is not final; all later ones wait for it. Not one without audio (`none`)."""
    doubtful: Entry | None
    """The one to check for deletion next: the head, else the first one that may be deleted."""
    lowest_open: int | None
    """The sequence of the first one that is not closed."""


def firsts(entries: Mapping[int, Entry]) -> Firsts:
    """Return the first requests of `entries`, which has them by sequence, in order."""
    head = doubtful = lowest_open = None
    for sequence, entry in entries.items():
        if entry.stage is Stage.CLOSED:
            continue
        if lowest_open is None:
            lowest_open = sequence
        if head is None and not entry.final and entry.transport != "none":
            head = entry
            if entry.may_be_gone:
                doubtful = entry
                break
        elif doubtful is None and entry.may_be_gone:
            doubtful = entry
    return Firsts(head, doubtful, lowest_open)
