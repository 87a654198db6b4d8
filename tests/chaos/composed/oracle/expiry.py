"""When a request may expire: only if for half of its ttl no synth could claim it, or synths had too much to do.

Sessions take turns at the synths (docs/architecture.md). So when a request waits because of the load, no other session
gets many more turns than its own. A session that no synth fetches does not get any. Each synth has a queue of its own:
when one was disturbed, the queues are unequal until the backlog is gone. Sessions in the longer one get fewer turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.composed.history import ReportSeen, Request, Violation
from tests.chaos.composed.oracle.facts import RECOVERY_S, SYNTH_FAULTS, Facts, broken
from tests.support.names import NAMES

DISTURBED_SHARE = 0.5
LONG_WAIT_SHARE = 0.25
"""The node is overloaded if half of the requests that were claimed meanwhile had waited for this share of the ttl."""
UNEQUAL_SHARE = 0.25
"""After faults of synths for this share of the ttl, the queues of an overloaded node may be unequal."""
MORE_TURNS = 6
"""How many more turns than twice its own another session may get: each synth has a queue of its own."""


def has_a_reason(facts: Facts, request: Request, final: ReportSeen) -> Iterator[Violation]:
    """An expired request was not claimed for its ttl, and something kept the synths from claiming it."""
    waited_s = final.stored_at - request.sent_at
    if waited_s < request.ttl_s:
        detail = f"{waited_s:.1f} s after it was sent; its ttl is {request.ttl_s:g} s"
        yield broken("expired too early", request, detail)
        return
    if facts.lost(request, NAMES.sessions_stream, NAMES.reports_stream):
        return
    end = request.sent_at + request.ttl_s
    disturbed_s = disturbed(facts, request.sent_at, end)
    if disturbed_s >= DISTURBED_SHARE * request.ttl_s:
        return
    if is_overloaded(facts, request, end) and (
        disturbed_s >= UNEQUAL_SHARE * request.ttl_s or has_its_turns(facts, request, end)
    ):
        return
    detail = f"synths were disturbed for {disturbed_s:.1f} s of its ttl, and not overloaded"
    yield broken("expired without a reason", request, detail)


def disturbed(facts: Facts, begin: float, end: float) -> float:
    """For how many seconds of this time a fault, or its effects, kept synths from claiming requests."""
    kinds = (*SYNTH_FAULTS, "server_", "leader_kill", "lost_data", "disk_full", "stepdown", "route_", "delete_")
    total, covered = 0.0, begin
    for fault in sorted(facts.faults(kinds, begin - RECOVERY_S, end), key=lambda fault: fault.began):
        until = min(end, fault.ended + RECOVERY_S)
        if until > covered:
            total += until - max(covered, fault.began)
            covered = until
    return total


def is_overloaded(facts: Facts, request: Request, end: float) -> bool:
    """Whether half of the requests that were claimed meanwhile had waited long, too."""
    waits = sorted(claimed_at - other.sent_at for other, claimed_at in _claims(facts, request.sent_at, end))
    return bool(waits) and waits[len(waits) // 2] >= LONG_WAIT_SHARE * request.ttl_s


def has_its_turns(facts: Facts, request: Request, end: float) -> bool:
    """Whether no other session got many more turns meanwhile than that of the request."""
    turns = Counter(other.session for other, _ in _claims(facts, request.sent_at, end))
    own = turns.pop(request.session, 0)
    return max(turns.values(), default=0) <= 2 * own + MORE_TURNS


def _claims(facts: Facts, begin: float, end: float) -> Iterator[tuple[Request, float]]:
    for request in facts.history.requests:
        claimed_at = facts.claimed_at(request)
        if claimed_at is not None and begin <= claimed_at <= end:
            yield request, claimed_at
