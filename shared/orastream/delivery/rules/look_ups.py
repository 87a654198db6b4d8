"""Which stored reports the owner of a session must read one by one. Pure; times are monotonic seconds.

The feed of reports returns what is stored after the process' mark. So an older request may have a report that the feed
does not return, and a request id that was used before has one.
"""

from __future__ import annotations

from collections.abc import Iterable

from orastream.contract.superseding import Supersedes
from orastream.delivery.rules.entry import Entry

LOOK_S = 0.5
"""A request without a report for so long is looked up: perhaps its id was used before."""
LOOK_AGAIN_S = 1.0
"""How long after a read that NATS did not answer."""
NEVER = float("inf")


def begin(entry: Entry, since: float) -> None:
    """Set when to look up a new entry. `since`: the feed returns all reports of requests that were stored later."""
    entry.must_look = entry.asked_at <= since
    at_once = entry.must_look or entry.superseding is Supersedes.UNKNOWN  # what it may supersede goes on until then
    entry.look_at = entry.asked_at if at_once else entry.asked_at + LOOK_S


def due(entries: Iterable[Entry], now: float) -> tuple[list[Entry], bool]:
    """Return the entries to look up now, each once, until `looked_up` says that NATS has not answered.

    And whether a report may be stored that says how far an owner before has come: nothing may be decided yet.
    """
    found, pending = [], False
    for entry in entries:
        if entry.must_look:
            pending = True
        if entry.report is None and now >= entry.look_at:
            entry.look_at = NEVER
            found.append(entry)
    return found, pending


def looked_up(entry: Entry, now: float, *, answered: bool) -> None:
    """The entry was looked up; if NATS has not answered, it is due again after LOOK_AGAIN_S seconds."""
    if answered:
        entry.must_look, entry.looked = False, True
    else:
        entry.look_at = now + LOOK_AGAIN_S


def next_time(entries: Iterable[Entry]) -> tuple[float, bool]:
    """When to call `due` next, or NEVER; and whether nothing may be decided before."""
    at, pending = NEVER, False
    for entry in entries:
        pending |= entry.must_look
        if entry.look_at < at and entry.report is None and not entry.closed:
            at = entry.look_at
    return at, pending
