"""Rules on final reports: one for each accepted request, and only a status that has a reason."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.composed.history import ReportSeen, Request, Violation
from tests.chaos.composed.oracle import expiry
from tests.chaos.composed.oracle.facts import (
    ANSWER_S,
    CANCEL_S,
    CANCELLED_BY,
    RECOVERY_S,
    REFUSED_AROUND_S,
    SERVER_FAULTS,
    SYNTH_FAULTS,
    Facts,
    broken,
)
from tests.support.names import NAMES

MAX_ATTEMPTS = 3
"""Attempts in a row without progress, after which a request fails."""
ATTEMPTS_LOST = {"rolling": 2, "relay": 2, "server_rolling": 3}
"""How many attempts of one request a fault can end; others: one."""
MAX_PENDING = 64
PLACE_FREE_S = 30.0
"""How long a final request may keep its place in the session: until another bridge has looked for leftovers."""


def has_one_final(facts: Facts, request: Request) -> Iterator[Violation]:
    """An accepted request gets exactly one final report, and that one does not change."""
    finals, seq = facts.finals(request), facts.seqs[request.key]
    if not finals:
        if seq is not None and not facts.lost(request, NAMES.sessions_stream):
            yield broken("no final report", request, f"stored as {seq}, {request.transport}")
        return
    if request.refused_at is not None:
        yield broken("spoken although refused", request, finals[0].status)
    first = finals[0]
    for later in facts.reports[request.key]:
        if later.seq <= first.seq or facts.forgotten(first, later):
            continue
        if later.final:
            detail = f"{first.status} at {first.seq}, {later.status} at {later.seq}"
            yield broken("two final reports", request, detail)
        else:
            yield broken("a final report was overwritten", request, f"{first.status}, then {later.status}")
        return


def is_answered(facts: Facts, request: Request) -> Iterator[Violation]:
    """A caller who waits gets the final report that is stored, soon after it is stored."""
    finals, answer = facts.finals(request), request.answer
    if (
        answer is not None
        and not any(report.body == answer for report in finals)
        and not facts.lost(request, NAMES.reports_stream)
    ):
        yield broken("a caller got another report than is stored", request, str(answer.get("status")))
    gave_up_at = request.gave_up_at
    if gave_up_at is not None and finals and not any(facts.losses(NAMES.reports_stream)):
        early_s = gave_up_at - finals[0].stored_at
        if early_s > ANSWER_S and not facts.faults(SERVER_FAULTS, finals[0].stored_at, gave_up_at):
            yield broken("a caller waited in vain", request, f"{early_s:.1f} s after {finals[0].status} was stored")


def has_room(facts: Facts, request: Request) -> Iterator[Violation]:
    """A request is refused only when its session has MAX_PENDING requests that are not final."""
    if request.refused_at is None:
        return
    pending = 0
    for other in facts.history.requests:
        if other.session == request.session and other is not request and other.refused_at is None:
            if other.sent_at <= request.refused_at and facts.until(other) > request.sent_at - PLACE_FREE_S:
                pending += 1 + len(other.repeats)
    if pending < MAX_PENDING:
        yield broken("refused although there was room", request, f"{pending} of {MAX_PENDING} requests are not final")


def has_a_reason(facts: Facts, request: Request) -> Iterator[Violation]:
    """A request that is not delivered was cancelled, expired, or met a fault that explains its error."""
    final = facts.final(request)
    if final is None or final.status == "delivered":
        return
    if final.status == "cancelled":
        if not facts.covering(request, by=final.stored_at):
            yield broken("cancelled without a cancel", request, f"at {final.stored_at:.3f}")
        return
    error = final.body.get("error") or {}
    code = str(error.get("code"))
    if final.status == "expired" and facts.claimed_at(request) is None:
        yield from expiry.has_a_reason(facts, request, final)
    elif not _is_excused(facts, request, final, code):
        yield broken(f"{final.status} without a reason", request, f"{code}: {error.get('message')}")


def _is_excused(facts: Facts, request: Request, final: ReportSeen, code: str) -> bool:
    if code == "expired":
        return facts.lost(request, NAMES.reports_stream)
    if code in ("internal", "synth_stalled") and facts.lost(request, NAMES.sessions_stream):
        return True  # its synth has died, and no other one gets it
    if code == "oraserver_refused":
        begin, end = request.sent_at - REFUSED_AROUND_S, final.stored_at + REFUSED_AROUND_S
        return bool(facts.faults(("receiver_403",), begin, end))
    if code == "engine_error":
        kinds = (*SYNTH_FAULTS, "server_", "leader_kill", "lost_data", "disk_full")
        faults = facts.faults(kinds, request.sent_at - REFUSED_AROUND_S, final.stored_at + REFUSED_AROUND_S)
        if sum(ATTEMPTS_LOST.get(fault.kind, 1) for fault in faults) >= MAX_ATTEMPTS:
            return True
    if code == "text_stalled" and not request.text_ended:
        return True
    if code == "text_stalled":
        return facts.lost(request, NAMES.texts_stream)
    return code in ("audio_expired", "synth_stalled", "internal", "engine_error") and facts.lost(
        request, NAMES.audio_stream, NAMES.texts_stream
    )


def is_cancelled_in_time(facts: Facts, request: Request) -> Iterator[Violation]:
    """A cancelled request becomes final soon, also one that no bridge delivers."""
    final, at = facts.final(request), facts.cancelled_at(request)
    if final is None or at is None or facts.lost(request, NAMES.sessions_stream, NAMES.reports_stream):
        return
    late_s = final.stored_at - at
    limit_s = CANCEL_S + facts.lag(at, final.stored_at)
    if late_s <= limit_s or facts.faults(CANCELLED_BY[request.transport], at - RECOVERY_S, final.stored_at):
        return
    posted = any(frame.kind == "post" and frame.sent_at <= at for frame in facts.frames.get(request.key, []))
    if not (request.transport == "http" and posted):
        detail = f"{final.status} {late_s:.2f} s after its cancel, {request.transport}"
        yield broken("not cancelled in time", request, detail)


RULES = (has_one_final, is_answered, has_room, has_a_reason, is_cancelled_in_time)
