"""Which stored reports the owner of a session must read one by one. Pure; times are monotonic seconds.

The feed of reports returns what is stored after the process' mark. So an older request may have a report that the feed
does not return, and a request id that was used before has one.
"""

from __future__ import annotations

from collections.abc import Iterable

from orastream.delivery.rules.entry import Entry

LOOK_S = 0.5
"""A request without a report for so long is looked up: perhaps its id was used before."""
LOOK_AGAIN_S = 1.0
"""How long after a read that NATS did not answer."""
NEVER = float("inf")


def begin(entry: Entry, since: float) -> None:
    """Set when to look up a new entry. `since`: the feed returns all reports of requests that were stored later."""
    entry.must_look = entry.asked_at <= since
    entry.look_at = entry.asked_at if entry.must_look else entry.asked_at + LOOK_S


def due(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Return the entries to look up now, each once, until `looked_up` says that NATS has not answered."""
    found = [entry for entry in entries if entry.report is None and now >= entry.look_at]
    for entry in found:
        entry.look_at = NEVER
    return found


def looked_up(entry: Entry, now: float, *, answered: bool) -> None:
    """The entry was looked up; if NATS has not answered, it is due again after LOOK_AGAIN_S seconds."""
    if answered:
        entry.must_look = False
    else:
        entry.look_at = now + LOOK_AGAIN_S


def pending(entries: Iterable[Entry]) -> bool:
    """Whether a report may be stored that says how far an owner before has come: nothing may be decided yet."""
    return any(entry.must_look for entry in entries)


def next_time(entries: Iterable[Entry]) -> float | None:
    """When to call `due` next, or None."""
    times = (entry.look_at for entry in entries if entry.report is None and not entry.closed)
    return min((at for at in times if at != NEVER), default=None)
