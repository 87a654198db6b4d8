"""Judges a recorded run by the contract alone (README.md, docs/reference). Pure.

A rule has exceptions only where the contract permits a loss, and only for the requests that a fault can have touched:

| fault | what may happen, to which requests |
|---|---|
| TTS_SESSIONS is lost | a request that was stored and not final may have no final report, or any |
| TTS_REPORTS is lost | such a request may be spoken again, get a second final report, or expire |
| TTS_AUDIO or TTS_TEXTS is lost | stored audio is not compared; a text that was being written may fail |
| OraServer answers 4xx | requests of that time may fail as `oraserver_refused` |
| synth is disturbed three times during one request | it may fail as `engine_error` |

Tolerances, in seconds. Each is for events that no process can order better from outside:

- LATE_FRAME_S: a frame that left its bridge so long after the final report was stored. Only what was in the sockets may
  leave then. The recorder's own delay is added. A connection whose bytes the proxy did not take is left out.
- CANCEL_S: a bridge that is cut off does not know of a cancel, and may write until its lease ends, 2.5 s.
"""

# length: one rule after the other, each with its exceptions

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from tests.chaos.composed.history import (
    WAV_HEADER_BYTES,
    CancelSent,
    Disturbance,
    Frame,
    History,
    Key,
    ReportSeen,
    Request,
    StoredAudio,
    Violation,
    digest,
)

LATE_FRAME_S = 1.0
CANCEL_S = 4.0
LOSS_AROUND_S = 8.0
"""A loss touches what happens until so long after it: streams are created again within 5 s."""
REFUSED_AROUND_S = 3.0
MEMORY_MB = 60.0
DESCRIPTORS = 40
LATENCY_FACTOR = 3.0
LATENCY_S = 0.5

Reference = Callable[[str, str], bytes]
"""The undisturbed file of a text in a format, as streamed."""

SESSIONS, AUDIO, REPORTS, TEXTS = "TTS_SESSIONS", "TTS_AUDIO", "TTS_REPORTS", "TTS_TEXTS"


def judge(history: History, reference: Reference) -> list[Violation]:
    """All violations, in the order of the rules."""
    return list(_Judge(history, reference).violations())


class _Judge:
    def __init__(self, history: History, reference: Reference) -> None:
        self._history = history
        self._reference = reference
        self._finals: dict[Key, list[ReportSeen]] = defaultdict(list)
        seen: set[tuple[Key, int]] = set()
        for report in [*history.reports, *history.last_reports]:
            if report.final and (report.key, report.seq) not in seen:
                seen.add((report.key, report.seq))
                self._finals[report.key].append(report)
        self._frames: dict[Key, list[Frame]] = defaultdict(list)
        for frame in sorted(history.frames, key=lambda frame: frame.sent_at):
            self._frames[frame.key].append(frame)
        self._cancels: dict[str, list[CancelSent]] = defaultdict(list)
        for cancel in history.cancels:
            self._cancels[cancel.session].append(cancel)
        self._seen = {report.seq for report in history.reports}
        self._reports: dict[Key, list[ReportSeen]] = defaultdict(list)
        for report in sorted(history.reports, key=lambda report: report.seq):
            self._reports[report.key].append(report)
        self._seqs = {request.key: self._seq(request) for request in history.requests}

    def violations(self) -> Iterator[Violation]:
        for request in self._history.requests:
            yield from self._one_final(request)
            yield from self._answered(request)
            yield from self._status(request)
            yield from self._bytes_sent(request)
            yield from self._delivered_whole(request)
            yield from self._stored_whole(request)
            yield from self._nothing_after_the_final(request)
            yield from self._nothing_after_a_cancel(request)
            yield from self._takeovers_are_fenced(request)
        yield from self._order()
        yield from self._unknown()
        yield from self._afterwards()

    # ---- what is known of a request

    def _seq(self, request: Request) -> int | None:
        if request.seq is not None:
            return request.seq
        reports = [r for r in self._history.reports if r.key == request.key]
        return int(reports[0].body["requestSeq"]) if reports else None

    def _final(self, request: Request) -> ReportSeen | None:
        finals = self._finals.get(request.key)
        return finals[0] if finals else None

    def _lost(self, request: Request, *streams: str) -> Disturbance | None:
        """A loss of one of the streams that can have touched this request."""
        final = self._final(request)
        until = final.stored_at if final is not None else self._history.settled_at
        for one in self._history.disturbances:
            touches = request.sent_at <= one.ended + LOSS_AROUND_S and one.began - LOSS_AROUND_S <= until
            if touches and set(streams) & set(one.lost):
                return one
        return None

    def _during(self, request: Request, kinds: tuple[str, ...], around_s: float = REFUSED_AROUND_S) -> int:
        """How many faults of these kinds overlapped the request."""
        final = self._final(request)
        until = final.stored_at if final is not None else self._history.settled_at
        return sum(
            one.began - around_s <= until and request.sent_at <= one.ended + around_s
            for one in self._history.disturbances
            if f"{one.kind} {one.target}".startswith(kinds)
        )

    def _lag(self, begin: float, end: float) -> float:
        return max((late for at, late in self._history.lags if begin - late - 1 <= at <= end + late + 1), default=0.0)

    def _covering(self, request: Request) -> list[CancelSent]:
        seq = self._seqs[request.key]
        return [
            cancel
            for cancel in self._cancels.get(request.session, [])
            if cancel.request in (None, request.request) and (cancel.seq is None or seq is None or seq < cancel.seq)
        ]

    def _broken(self, rule: str, request: Request, detail: str) -> Violation:
        return Violation(rule, request.session, request.request, detail)

    # ---- finals

    def _one_final(self, request: Request) -> Iterator[Violation]:
        finals = self._finals.get(request.key, [])
        if not finals:
            if request.seq is not None and not self._lost(request, SESSIONS):
                yield self._broken("no final report", request, f"accepted as {request.seq}, {request.transport}")
            return
        if request.refused and request.seq is None:
            yield self._broken("spoken although refused", request, finals[0].status)
        first = finals[0]
        for later in finals[1:]:
            if not self._forgotten(first, later):
                told = f"{first.status} at {first.seq}, {later.status} at {later.seq}"
                yield self._broken("two final reports", request, told)
                return
        for later in [*self._history.reports, *self._history.last_reports]:
            if later.key == first.key and later.seq > first.seq and not later.final:
                if not self._forgotten(first, later):
                    told = f"{first.status}, then {later.status}"
                    yield self._broken("a final report was overwritten", request, told)
                return

    def _forgotten(self, first: ReportSeen, later: ReportSeen) -> bool:
        """Whether the node lost the first report before it stored the later one."""
        return any(
            REPORTS in one.lost and first.stored_at <= one.ended + LOSS_AROUND_S and one.began <= later.stored_at
            for one in self._history.disturbances
        )

    def _answered(self, request: Request) -> Iterator[Violation]:
        answer = request.answer
        if answer is None or any(r.body == answer for r in self._finals.get(request.key, [])):
            return
        if not self._lost(request, REPORTS):
            yield self._broken("a caller got another report than is stored", request, str(answer.get("status")))

    def _status(self, request: Request) -> Iterator[Violation]:
        final = self._final(request)
        if final is None or final.status == "delivered":
            return
        if final.status == "cancelled":
            if not self._covering(request):
                yield self._broken("cancelled without a cancel", request, f"at {final.stored_at:.3f}")
            return
        if final.status == "expired" and not self._claimed(request, final):
            if final.stored_at < request.sent_at + request.ttl_s:
                told = f"{final.stored_at - request.sent_at:.1f} s after it was sent; its ttl is {request.ttl_s:g} s"
                yield self._broken("expired too early", request, told)
            return
        error = final.body.get("error") or {}
        code = error.get("code")
        if self._lost(request, SESSIONS, REPORTS):
            return
        if code == "oraserver_refused" and self._during(request, ("receiver_403",)):
            return
        if (
            code == "engine_error"
            and self._during(
                request,
                ("kill synth", "stop synth", "restart synth", "relay", "rolling synth", "nats_", "server", "disk_full"),
            )
            >= 3
        ):
            return
        if code == "text_stalled" and (not request.text_ended or self._lost(request, TEXTS)):
            return
        if code in ("audio_expired", "synth_stalled", "internal", "engine_error") and self._lost(request, AUDIO, TEXTS):
            return
        yield self._broken(f"{final.status} without a reason", request, f"{code}: {error.get('message')}")

    def _claimed(self, request: Request, final: ReportSeen) -> bool:
        return any(r.key == request.key and r.seq < final.seq for r in self._history.reports)

    # ---- bytes

    def _file(self, request: Request, kind: str) -> bytes:
        file = self._reference(request.text, request.format)
        if kind == "post" and request.format == "wav":
            sizes = (len(file) - 8).to_bytes(4, "little"), (len(file) - WAV_HEADER_BYTES).to_bytes(4, "little")
            file = file[:4] + sizes[0] + file[8:40] + sizes[1] + file[44:]
        return file

    def _bytes_sent(self, request: Request) -> Iterator[Violation]:
        """Every chunk that OraServer has read is the right part of the file, and a repeat equals the first."""
        frames = self._frames.get(request.key, [])
        sizes: dict[int, tuple[int, str]] = {}
        for frame in frames:
            if frame.kind != "chunk":
                continue
            known = sizes.setdefault(frame.index, (frame.size, frame.digest))
            if known != (frame.size, frame.digest):
                if not self._lost(request, AUDIO, REPORTS, SESSIONS):
                    yield self._broken("a repeat differs", request, f"chunk {frame.index}: {known} and {frame.size}")
                return
        wrong = self._wrong_chunk(request, [sizes[index] for index in sorted(sizes)], sorted(sizes))
        if wrong is not None and not self._lost(request, AUDIO, REPORTS, SESSIONS):
            yield self._broken("wrong bytes were sent", request, wrong)
        for frame in frames:
            if frame.kind == "post":
                file = self._file(request, "post")
                if (frame.size, frame.digest) != (len(file), digest(file)):
                    yield self._broken("wrong bytes were sent", request, f"a POST of {frame.size} of {len(file)} bytes")
                    return

    def _wrong_chunk(self, request: Request, chunks: list[tuple[int, str]], indexes: list[int]) -> str | None:
        file, at = self._reference(request.text, request.format), 0
        for position, ((size, name), index) in enumerate(zip(chunks, indexes, strict=True)):
            if index != position:
                return f"chunk {position} is missing, {index} is there"
            if digest(file[at : at + size]) != name:
                return f"chunk {index} of {size} bytes at byte {at} is not the engine's"
            at += size
        return None

    def _delivered_whole(self, request: Request) -> Iterator[Violation]:
        final = self._final(request)
        if final is None or final.status != "delivered" or request.transport == "none":
            return
        frames = self._frames.get(request.key, [])
        if request.transport == "http":
            if not any(frame.kind == "post" and (frame.status is None or frame.status < 300) for frame in frames):
                yield self._broken("delivered, but not received", request, "no POST")
            return
        sizes = {frame.index: frame.size for frame in frames if frame.kind == "chunk"}
        whole = len(self._reference(request.text, request.format))
        if sum(sizes.values()) != whole or sorted(sizes) != list(range(len(sizes))):
            got = f"{sum(sizes.values())} of {whole} bytes, chunks {sorted(sizes)}"
            yield self._broken("delivered, but not received", request, got)
        elif not any(frame.kind == "complete" and frame.index == len(sizes) for frame in frames):
            yield self._broken("delivered, but not received", request, "no `complete`")

    def _stored_whole(self, request: Request) -> Iterator[Violation]:
        final = self._final(request)
        if final is None or final.status != "delivered" or self._audio_was_lost(request):
            return
        stored = self._history.audio.get(request.key, StoredAudio([], None))
        wrong = self._wrong_chunk(request, stored.chunks, list(range(len(stored.chunks))))
        whole, got = len(self._reference(request.text, request.format)), sum(size for size, _ in stored.chunks)
        if wrong is None and (got != whole or stored.end != "complete"):
            wrong = f"{got} of {whole} bytes, end {stored.end}"
        if wrong is not None:
            yield self._broken("stored audio differs", request, wrong)

    def _audio_was_lost(self, request: Request) -> bool:
        return any(
            AUDIO in one.lost and one.ended + LOSS_AROUND_S >= request.sent_at for one in self._history.disturbances
        )

    # ---- after the end

    def _nothing_after_the_final(self, request: Request) -> Iterator[Violation]:
        final = self._final(request)
        if final is None or self._lost(request, REPORTS, SESSIONS):
            return
        for frame in self._frames.get(request.key, []):
            late = frame.sent_at - final.stored_at
            if frame.held_up or late <= LATE_FRAME_S:
                continue
            if late > LATE_FRAME_S + self._lag(final.stored_at, frame.sent_at):
                told = f"{frame.kind} {frame.index} by {frame.bridge} {late:.2f} s after {final.status}"
                yield self._broken("a frame after the final report", request, told)
                return

    def _nothing_after_a_cancel(self, request: Request) -> Iterator[Violation]:
        sure = [c for c in self._covering(request) if c.accepted_at is not None and self._seqs[request.key] is not None]
        if not sure or self._lost(request, SESSIONS):
            return
        at = min(c.accepted_at for c in sure if c.accepted_at is not None)
        for frame in self._frames.get(request.key, []):
            late = frame.sent_at - at
            if not frame.held_up and late > CANCEL_S + self._lag(at, frame.sent_at):
                told = f"{frame.kind} {frame.index} by {frame.bridge} {late:.2f} s after its cancel"
                yield self._broken("spoken after its cancel", request, told)
                return

    def _takeovers_are_fenced(self, request: Request) -> Iterator[Violation]:
        """A new owner stores a report with its epoch before its first chunk: else the old one could still report."""
        chunks = [frame for frame in self._frames.get(request.key, []) if frame.kind == "chunk"]
        reports = self._reports.get(request.key, [])
        for earlier, later in zip(chunks, chunks[1:], strict=False):
            if earlier.bridge == later.bridge or self._lost(request, REPORTS):
                continue
            before = [report for report in reports if report.stored_at <= later.sent_at]
            after = [report for report in reports if report.stored_at > later.sent_at]
            if not before or not after:
                continue
            known, told = max(_epoch(report) for report in before), _epoch(after[0])
            if told > known and self._seen.issuperset(range(before[-1].seq, after[0].seq)):
                late_s = after[0].stored_at - later.sent_at
                detail = f"{later.bridge} wrote chunk {later.index} {late_s:.3f} s before its epoch was stored"
                yield self._broken("a takeover without a fence", request, detail)
                return

    # ---- order

    def _order(self) -> Iterator[Violation]:
        """A request begins only when every earlier one of its session is final; `none` does not count."""
        sessions: dict[str, list[Request]] = defaultdict(list)
        for request in self._history.requests:
            if request.transport != "none" and self._seqs[request.key] is not None:
                sessions[request.session].append(request)
        for requests in sessions.values():
            requests.sort(key=lambda request: self._seqs[request.key] or 0)
            last: tuple[float, Request] | None = None
            for request in requests:
                frames = self._frames.get(request.key, [])
                if (
                    frames
                    and last is not None
                    and frames[0].sent_at < last[0]
                    and not self._lost(request, SESSIONS, REPORTS)
                ):
                    told = f"began {last[0] - frames[0].sent_at:.3f} s before the final report of {last[1].request}"
                    yield self._broken("out of order", request, told)
                final = self._final(request)
                if final is not None and not self._lost(request, SESSIONS, REPORTS):
                    if last is None or final.stored_at > last[0]:
                        last = final.stored_at, request

    def _unknown(self) -> Iterator[Violation]:
        known = {request.key for request in self._history.requests}
        for session, request in sorted({f.key for f in self._history.frames} - known):
            yield Violation("sent without a request", session, request, "OraServer got frames of an unknown request")

    # ---- afterwards

    def _afterwards(self) -> Iterator[Violation]:
        after = self._history.aftermath

        def broken(rule: str, detail: str) -> Violation:
            return Violation(rule, "", "", detail)

        if after.requests:
            yield broken("requests stay stored", f"{after.requests} in TTS_SESSIONS")
        if after.cancels:
            yield broken("cancels stay stored", f"{after.cancels} in TTS_SESSIONS")
        for consumer, count in after.unacked.items():
            if count:
                yield broken("unacked messages", f"{count} of consumer {consumer}")
        if after.owners_alive:
            yield broken("owner records stay", ", ".join(after.owners_alive[:5]))
        for name in after.unready:
            yield broken("a process is not ready", name)
        for rule, times in after.broken_rules.items():
            yield broken("protocol v1 was broken", f"{rule}, {times} times")
        before = {usage.process: usage for usage in after.before}
        for usage in after.after:
            first = before.get(usage.process)
            if first is None:
                continue
            if usage.descriptors > first.descriptors + DESCRIPTORS:
                yield broken("descriptors grow", f"{usage.process}: {first.descriptors} → {usage.descriptors}")
            if usage.rss_mb > 1.5 * first.rss_mb + MEMORY_MB:
                yield broken("memory grows", f"{usage.process}: {first.rss_mb:.0f} → {usage.rss_mb:.0f} MB")
        if after.latency_before_s and after.latency_after_s:
            first_s, last_s = _median(after.latency_before_s), _median(after.latency_after_s)
            if last_s > LATENCY_FACTOR * first_s + LATENCY_S:
                yield broken("latency did not come back", f"median {first_s:.2f} s → {last_s:.2f} s")


def _epoch(report: ReportSeen) -> int:
    return int(report.body.get("epoch") or 0)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
