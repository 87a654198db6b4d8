"""Rules on what must not be sent: nothing after a final report, and nothing after a cancel."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.composed.history import Request, Violation
from tests.chaos.composed.oracle.facts import (
    CANCEL_S,
    CANCELLED_BY,
    LATE_FRAME_S,
    QUICK_CANCEL_S,
    RECOVERY_S,
    Facts,
    broken,
)
from tests.support.names import NAMES


def sends_nothing_after_the_final(facts: Facts, request: Request) -> Iterator[Violation]:
    """After the final report is stored, no frame leaves a bridge."""
    final = facts.final(request)
    if final is None or facts.lost(request, NAMES.reports_stream, NAMES.sessions_stream):
        return
    for frame in facts.frames.get(request.key, []):
        late_s = frame.sent_at - final.stored_at
        if frame.held_up or late_s <= LATE_FRAME_S or facts.unpreventable(frame):
            continue
        if late_s > LATE_FRAME_S + facts.lag(final.stored_at, frame.sent_at):
            detail = f"{frame.kind} {frame.index} by {frame.bridge} {late_s:.2f} s after {final.status}"
            yield broken("a frame after the final report", request, detail)
            return


def sends_nothing_after_a_cancel(facts: Facts, request: Request) -> Iterator[Violation]:
    """After a cancel no frame leaves a bridge: QUICK_CANCEL_S later if nothing is disturbed, else CANCEL_S."""
    at = facts.cancelled_at(request)
    if at is None or facts.lost(request, NAMES.sessions_stream):
        return
    for frame in facts.frames.get(request.key, []):
        late_s = frame.sent_at - at
        if frame.held_up or late_s <= QUICK_CANCEL_S or facts.unpreventable(frame):
            continue
        disturbed = facts.faults(CANCELLED_BY[request.transport], at - RECOVERY_S, frame.sent_at)
        limit_s = CANCEL_S if disturbed else QUICK_CANCEL_S
        if late_s > limit_s + facts.lag(at, frame.sent_at):
            detail = f"{frame.kind} {frame.index} by {frame.bridge} {late_s:.2f} s after its cancel"
            yield broken("spoken after its cancel", request, detail)
            return


RULES = (sends_nothing_after_the_final, sends_nothing_after_a_cancel)
