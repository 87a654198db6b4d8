"""When a request may expire: only if for half of its ttl no synth could claim it, or synths had too much to do.

Sessions take turns at the synths (docs/architecture.md). So when a request waits because of the load, no other session
gets many more turns than its own. A session that no synth fetches does not get any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orastream.contract.stream_names import REPORTS, SESSIONS
from tests.chaos.composed.history import ReportSeen, Request, Violation
from tests.chaos.composed.oracle.facts import RECOVERY_S, SYNTH_FAULTS, Facts, broken

DISTURBED_SHARE = 0.5
LONG_WAIT_SHARE = 0.25
"""The node is overloaded if half of the requests that were claimed meanwhile had waited for this share of the ttl."""
MORE_TURNS = 6
"""How many more turns than twice its own another session may get: each synth has a queue of its own."""


def has_a_reason(facts: Facts, request: Request, final: ReportSeen) -> Iterator[Violation]:
    """An expired request was not claimed for its ttl, and something kept the synths from claiming it."""
    waited_s = final.stored_at - request.sent_at
    if waited_s < request.ttl_s:
        detail = f"{waited_s:.1f} s after it was sent; its ttl is {request.ttl_s:g} s"
        yield broken("expired too early", request, detail)
        return
    if facts.lost(request, SESSIONS, REPORTS):
        return
    end = request.sent_at + request.ttl_s
    disturbed_s = disturbed(facts, request.sent_at, end)
    if disturbed_s >= DISTURBED_SHARE * request.ttl_s or is_overloaded(facts, request, end):
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
    """Whether other requests waited long too, and no other session got many more turns than this one."""
    waits: list[float] = []
    turns: Counter[str] = Counter()
    for other in facts.history.requests:
        claimed_at = facts.claimed_at(other)
        if claimed_at is not None and request.sent_at <= claimed_at <= end:
            waits.append(claimed_at - other.sent_at)
            turns[other.session] += 1
    own = turns.pop(request.session, 0)
    if not waits or sorted(waits)[len(waits) // 2] < LONG_WAIT_SHARE * request.ttl_s:
        return False
    return max(turns.values(), default=0) <= 2 * own + MORE_TURNS
