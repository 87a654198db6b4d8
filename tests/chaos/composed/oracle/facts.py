"""What is known of each request in a history, and which faults can have touched it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from tests.chaos.composed.history import (
    CancelSent,
    Disturbance,
    Frame,
    History,
    Key,
    ReportSeen,
    Request,
    Violation,
)
from tests.support.names import NAMES

LATE_FRAME_S = 1.0
CANCEL_S = 4.0
QUICK_CANCEL_S = 1.0
THAW_S = 0.1
ANSWER_S = 10.0

LOSS_BEFORE_S = 1.0
LOSS_AFTER_S = 8.0
"""A loss touches what happens from so long before it until so long after it: streams are created again within 5 s."""
REFUSED_AROUND_S = 3.0
RECOVERY_S = 7.0
"""How long the effect of a fault may last after its end: ack wait 6 s, heartbeat 3 s, the start of a process 3 s."""

PROCESS_FAULTS = ("kill", "stop", "restart", "rolling", "relay", "handover", "exit")
LINK_FAULTS = ("nats_cut", "nats_delay", "nats_hold", "nats_hole")
SERVER_FAULTS = ("server_", "leader_kill", "lost_data", "disk_full", "delete_", "stepdown", "route_")


def faults_of(*services: str) -> tuple[str, ...]:
    """The faults of processes of these services and of their links to NATS, as beginnings of "<kind> <target>"."""
    return tuple(f"{kind} {service}" for kind in (*PROCESS_FAULTS, *LINK_FAULTS) for service in services)


SYNTH_FAULTS = faults_of("synth")

CANCELLED_BY = {
    "websocket": (*faults_of("ws_bridge"), *SERVER_FAULTS),
    "http": (*faults_of("http_bridge"), *SERVER_FAULTS),
    "none": (*faults_of("synth", "ws_bridge", "http_bridge"), *SERVER_FAULTS),
}
"""By transport: the faults of those who end a cancelled request."""

Reference = Callable[[str, str], bytes]
"""The undisturbed file of a text in a format, as streamed."""


class Facts:
    """A history, indexed by request."""

    def __init__(self, history: History, reference: Reference) -> None:
        self.history = history
        self.reference = reference
        self.reports: dict[Key, list[ReportSeen]] = defaultdict(list)
        """All reports of a request, in the order of their sequences."""
        self.frames: dict[Key, list[Frame]] = defaultdict(list)
        """All frames of a request, in the order in which they left their bridges."""
        self.seen_live = {report.seq for report in history.reports}
        seen: set[int] = set()
        for report in sorted([*history.reports, *history.last_reports], key=lambda report: report.seq):
            if report.seq not in seen:
                seen.add(report.seq)
                self.reports[report.key].append(report)
        for frame in sorted(history.frames, key=lambda frame: frame.sent_at):
            self.frames[frame.key].append(frame)
        self._cancels: dict[str, list[CancelSent]] = defaultdict(list)
        for cancel in history.cancels:
            self._cancels[cancel.session].append(cancel)
        self.seqs = {request.key: self._seq(request) for request in history.requests}
        """The sequence of each request; None: it is not known to be stored."""
        self._thawed = self._frames_after_a_stop()

    def _seq(self, request: Request) -> int | None:
        """Of requests with the same id, any one may be claimed first; its reports name it."""
        reports = self.reports.get(request.key)
        return int(reports[0].body["requestSeq"]) if reports else request.seq

    def finals(self, request: Request) -> list[ReportSeen]:
        """Its final reports, in order; more than one is a fault."""
        return [report for report in self.reports.get(request.key, []) if report.final]

    def final(self, request: Request) -> ReportSeen | None:
        """Its first final report."""
        return next(iter(self.finals(request)), None)

    def until(self, request: Request) -> float:
        """When it became final, or when the run stopped to wait for that."""
        final = self.final(request)
        return final.stored_at if final is not None else self.history.settled_at

    def claimed_at(self, request: Request) -> float | None:
        """When its first report was stored, if that was not the final one."""
        first = next(iter(self.reports.get(request.key, [])), None)
        return first.stored_at if first is not None and not first.final else None

    def covering(self, request: Request, by: float | None = None) -> list[CancelSent]:
        """The cancels that cover it or may do so; `by`: only those that were sent until then."""
        seq = self.seqs[request.key]
        return [
            cancel
            for cancel in self._cancels.get(request.session, [])
            if cancel.request in (None, request.request)
            and (cancel.seq is None or seq is None or seq < cancel.seq)
            and (by is None or cancel.sent_at <= by)
        ]

    def cancelled_at(self, request: Request) -> float | None:
        """When the first cancel was accepted that covers it for certain."""
        if self.seqs[request.key] is None:
            return None
        return min((c.accepted_at for c in self.covering(request) if c.accepted_at is not None and c.seq), default=None)

    # ---- faults

    def losses(self, *streams: str) -> Iterator[Disturbance]:
        """The faults that have lost one of these streams."""
        for disturbance in self.history.disturbances:
            if set(streams) & set(disturbance.lost):
                yield disturbance

    def lost(self, request: Request, *streams: str) -> bool:
        """Whether a loss of one of these streams can have touched this request."""
        until = self.until(request)
        return any(
            request.sent_at <= loss.ended + LOSS_AFTER_S and loss.began - LOSS_BEFORE_S <= until
            for loss in self.losses(*streams)
        )

    def forgotten(self, first: ReportSeen, later: ReportSeen) -> bool:
        """Whether the node lost the first report before it stored the later one."""
        return any(
            first.stored_at <= loss.ended and loss.began <= later.stored_at
            for loss in self.losses(NAMES.reports_stream)
        )

    def faults(self, kinds: Iterable[str], begin: float, end: float) -> list[Disturbance]:
        """The faults that overlap this time. `kinds`: beginnings of "<kind> <target>"."""
        prefixes = tuple(kinds)
        return [
            disturbance
            for disturbance in self.history.disturbances
            if disturbance.began <= end
            and begin <= disturbance.ended
            and f"{disturbance.kind} {disturbance.target}".startswith(prefixes)
        ]

    def lag(self, begin: float, end: float) -> float:
        """By how many seconds the recorder's times of then may be late."""
        return max((late for at, late in self.history.lags if begin - late - 1 <= at <= end + late + 1), default=0.0)

    def _frames_after_a_stop(self) -> set[int]:
        """The frames, by `id`, that a bridge had decided to write before SIGSTOP: one for each connection and stop."""
        by_connection: dict[tuple[str, int], list[Frame]] = defaultdict(list)
        for frame in sorted(self.history.frames, key=lambda frame: frame.sent_at):
            by_connection[frame.bridge, frame.connection].append(frame)
        found: set[int] = set()
        for stop in self.history.disturbances:
            for (bridge, _), frames in by_connection.items():
                if stop.kind == "stop" and stop.target == bridge:
                    limit = stop.ended + THAW_S + self.lag(stop.ended, stop.ended)
                    after = (frame for frame in frames if stop.ended - THAW_S <= frame.sent_at <= limit)
                    found |= {id(frame) for frame in list(after)[:1]}
        return found

    def unpreventable(self, frame: Frame) -> bool:
        """Whether its bridge had decided to write it before SIGSTOP stopped the bridge."""
        return id(frame) in self._thawed


def broken(rule: str, request: Request, detail: str) -> Violation:
    """A violation by one request."""
    return Violation(rule, request.session, request.request, detail)
