"""Which request of a session is first in some respect. Pure. `entries` has the requests by sequence, in order."""

from __future__ import annotations

from collections.abc import Mapping

from orastream.delivery.rules.entry import Entry


def head(entries: Mapping[int, Entry]) -> Entry | None:
    """The first request that is not final; all later ones wait for it."""
    return next((e for e in entries.values() if not e.final and e.transport != "none"), None)


def doubtful(entries: Mapping[int, Entry]) -> Entry | None:
    """The request to check for deletion next: the first that is not final, else the first that may be deleted."""
    candidates = head(entries), *entries.values()
    return next((entry for entry in candidates if entry is not None and entry.may_be_gone), None)


def lowest_open(entries: Mapping[int, Entry]) -> int | None:
    """The sequence of the first request that is not closed, or None."""
    return next((s for s, entry in entries.items() if not entry.closed), None)
