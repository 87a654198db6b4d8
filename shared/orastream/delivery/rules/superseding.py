"""Which requests of a session count as cancels of the requests before them, as its owner knows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orastream.contract.stored_requests import StoredCancel
from orastream.contract.superseding import Supersedes, as_cancel, supersedes
from orastream.delivery.rules import entry_order
from orastream.delivery.rules.entry import Entry


def found(entries: Mapping[int, Entry]) -> list[StoredCancel]:
    """Judge the requests that are not judged yet, and return the cancels that they now count as: each once.

    `entries` has the requests of a session by sequence, in order.
    """
    cancels = []
    for sequence, entry in entries.items():
        if entry.superseding is not Supersedes.UNKNOWN or not (entry.looked or entry.report is not None):
            continue
        token = entry.stored.token
        first = not any(
            other.stored.token == token and not other.closed for before, other in entries.items() if before < sequence
        )
        entry.superseding = supersedes(entry.stored, entry.report, first=first)
        if entry.superseding is Supersedes.YES:
            cancels.append(as_cancel(entry.stored))
    return cancels


def known(entries: Mapping[int, Entry]) -> Iterator[StoredCancel]:
    """The cancels that `found` has returned before, of requests that are not forgotten."""
    return (as_cancel(entry.stored) for entry in entries.values() if entry.superseding is Supersedes.YES)


def may_tidy(entries: Mapping[int, Entry], entry: Entry) -> bool:
    """Whether this request, which is final, may be deleted: none is open that it supersedes, or may supersede.

    If it were deleted earlier and this process died, the next owner would deliver a request that is superseded.
    """
    return entry.superseding is Supersedes.NO or entry_order.firsts(entries).lowest_open == entry.sequence
