"""Rules on the order of a session, and on the handover of a session from one bridge to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.composed.history import Frame, ReportSeen, Request, Violation
from tests.chaos.composed.oracle.facts import Facts, broken
from tests.support.names import NAMES


def is_fenced(facts: Facts, request: Request) -> Iterator[Violation]:
    """A new owner stores a report with its epoch before its first chunk: else the old one could still report."""
    chunks = [
        frame for frame in facts.frames.get(request.key, []) if frame.kind == "chunk" and not facts.unpreventable(frame)
    ]
    reports = [report for report in facts.reports.get(request.key, []) if report.seq in facts.seen_live]
    for earlier, later in zip(chunks, chunks[1:], strict=False):
        if earlier.bridge == later.bridge or facts.lost(request, NAMES.reports_stream):
            continue
        before = [report for report in reports if report.stored_at <= later.sent_at]
        after = [report for report in reports if report.stored_at > later.sent_at]
        if not before or not after:
            continue
        best_epoch, epoch = max(_epoch(report) for report in before), _epoch(after[0])
        if epoch > best_epoch and facts.seen_live.issuperset(range(before[-1].seq, after[0].seq)):
            late_s = after[0].stored_at - later.sent_at
            detail = f"{later.bridge} wrote chunk {later.index} {late_s:.3f} s before its epoch was stored"
            yield broken("a takeover without a fence", request, detail)
            return


def _epoch(report: ReportSeen) -> int:
    return int(report.body.get("epoch") or 0)


def _sessions(facts: Facts) -> Iterator[list[Request]]:
    """The requests of each session that bridges deliver, in the order in which they are stored."""
    sessions: dict[str, list[Request]] = defaultdict(list)
    for request in facts.history.requests:
        if request.transport != "none" and facts.seqs[request.key] is not None:
            sessions[request.session].append(request)
    for requests in sessions.values():
        yield sorted(requests, key=lambda request: facts.seqs[request.key] or 0)


def keeps_the_order(facts: Facts) -> Iterator[Violation]:
    """A request begins only when every earlier one of its session is final; `none` does not count."""
    for requests in _sessions(facts):
        last: tuple[float, Request] | None = None
        for request in requests:
            if facts.lost(request, NAMES.sessions_stream, NAMES.reports_stream):
                continue
            frames = facts.frames.get(request.key, [])
            if frames and last is not None and frames[0].sent_at < last[0]:
                detail = f"began {last[0] - frames[0].sent_at:.3f} s before the final report of {last[1].request}"
                yield broken("out of order", request, detail)
            final = facts.final(request)
            if final is not None and (last is None or final.stored_at > last[0]):
                last = final.stored_at, request


def goes_on_with_no_earlier_request(facts: Facts) -> Iterator[Violation]:
    """OraServer gets no frame of a request after the first frame of a later request of that session.

    By the same bridge none at all: it resets the connection of what it gives up. By another bridge, and while a fault
    holds up what has left the first one (OraServer may read a connection after its reset), none that left it later.
    """
    for requests in _sessions(facts):
        of: dict[tuple[str, str], Request] = {request.key: request for request in requests}
        frames = [frame for request in requests for frame in facts.frames.get(request.key, [])]
        newest: dict[str, tuple[int, Frame]] = {}
        reported: set[tuple[str, str]] = set()
        for frame in sorted(frames, key=lambda frame: frame.received_at):
            request, seq = of[frame.key], facts.seqs[frame.key] or 0
            late = next(
                (other for other in newest.values() if other[0] > seq and _is_late(facts, frame, other[1])), None
            )
            if (
                late is not None
                and frame.key not in reported
                and not facts.lost(request, NAMES.sessions_stream, NAMES.reports_stream)
            ):
                reported.add(frame.key)
                late_s = frame.received_at - late[1].received_at
                what = f"{frame.kind} {frame.index} by {frame.bridge}"
                detail = f"{what} {late_s:.3f} s after {late[1].request} had begun by {late[1].bridge}"
                yield broken("went on after a later request had begun", request, detail)
            if frame.bridge not in newest or seq > newest[frame.bridge][0]:
                newest[frame.bridge] = seq, frame


def _is_late(facts: Facts, frame: Frame, later: Frame) -> bool:
    """Whether a frame of an earlier request came after `later`, the first frame of a later one, against the rules."""
    if frame.connection == later.connection:
        return True
    if frame.held_up or facts.unpreventable(frame):
        return False
    if frame.bridge == later.bridge and not facts.faults(("receiver_", "ora_"), frame.sent_at, frame.received_at):
        return True
    return frame.sent_at > later.received_at + facts.lag(later.received_at, frame.sent_at)


def is_known(facts: Facts) -> Iterator[Violation]:
    """OraServer gets only what was asked for."""
    keys = {request.key for request in facts.history.requests}
    for session, request in sorted({frame.key for frame in facts.history.frames} - keys):
        yield Violation("sent without a request", session, request, "OraServer got frames of an unknown request")


RULES = (is_fenced,)
RUN_RULES = (keeps_the_order, goes_on_with_no_earlier_request, is_known)
