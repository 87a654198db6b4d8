"""Decides which utterances a cancel has cut, and when what was heard of each is settled. Pure.

It gets what the streams say in any order: stored requests without a report, reports, records of what was heard. Only
requests with a sequence below that of the cancel count; of a cancel of one request only that one.

| what is stored of a request | settled | in the result |
|---|---|---|
| a record that is `done`, with the sequence of this cancel | yes | yes |
| no report of it, but one of another request with its id: it is a duplicate | yes | no |
| a record that is not `done`, or a request without report and record | no | |
| a record that is `done`, without a report | yes | no |
| transport `http` or `none`, or a fallback: a report that is not final | no | |
| the same with a final report | yes | its record, if it is `cancelled` and was not before this cancel |
| `cancelled`, stored before this cancel: by another one | yes | no |
| `cancelled` since then, without a record that is `done` | no: a record comes | |
| another final report of audio that was sent, stored since this cancel, without a record | no: a record comes | |
| another final report, and no record that is not `done` | yes | no |
| a report that is not final, without a record that is `done` | no | |
"""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.heard import Heard
from orastream.contract.messages import Report


@dataclass(slots=True)
class _Asked:
    """What is known of one request. The numbers are stream sequences of what is stored; 0: nothing is."""

    session_id: str
    request_id: str
    request_seq: int
    report: Report | None = None
    reported_at: int = 0
    record: Heard | None = None
    recorded_at: int = 0


class CutUtterances:
    """What is known of the requests that one cancel may have cut. Not thread-safe."""

    def __init__(self, cancel_seq: int, request_id: str | None = None, *, reports_before: int | None = None) -> None:
        """`cancel_seq` is the sequence of the cancel, `request_id` the one request that it names, None: all.

        `reports_before` is a sequence of the stream of reports: what is stored up to it was stored before the cancel.
        None: that is not known, and each report may be newer than the cancel.
        """
        self._cancel_seq = cancel_seq
        self._request_id = request_id
        self._reports_before = reports_before or 0
        self._knows_before = reports_before is not None
        self._asked: dict[int, _Asked] = {}
        """By the sequence of the request."""
        self._reported: dict[str, int] = {}
        """The sequence of the request to which the report under an id belongs."""

    def add_queued(self, session_id: str, request_id: str, request_seq: int) -> None:
        """A request is stored, and may have no report yet."""
        self._find(session_id, request_id, request_seq)

    def add_report(self, report: Report, sequence: int) -> None:
        """A report is stored at `sequence`. Of two reports of a request the one with the higher sequence counts."""
        self._reported[report.request_id] = report.request_seq
        asked = self._find(report.session_id, report.request_id, report.request_seq)
        if asked is not None and sequence > asked.reported_at:
            asked.report, asked.reported_at = report, sequence

    def add_record(self, record: Heard, sequence: int) -> None:
        """A record is stored at `sequence`. Of two records of a request the one with the higher sequence counts."""
        asked = self._find(record.session_id, record.request_id, record.request_seq)
        if asked is not None and sequence > asked.recorded_at:
            asked.record, asked.recorded_at = record, sequence

    @property
    def settled(self) -> bool:
        """Whether what was heard of each request that is known is settled."""
        return all(self._is_settled(asked) for asked in self._asked.values())

    def result(self) -> tuple[Heard, ...]:
        """The records of the utterances that the cancel has cut, in the order of their requests.

        Also what is not settled, with `done` false: its stored record, or one with `heard_by` unknown if there is none.
        """
        found = (self._part(self._asked[sequence]) for sequence in sorted(self._asked))
        return tuple(part for part in found if part is not None)

    def _find(self, session_id: str, request_id: str, request_seq: int) -> _Asked | None:
        """What is known of a request; None if the cancel does not cover it."""
        if request_seq >= self._cancel_seq or self._request_id not in (None, request_id):
            return None
        return self._asked.setdefault(request_seq, _Asked(session_id, request_id, request_seq))

    def _part(self, asked: _Asked) -> Heard | None:
        if not self._is_settled(asked):
            if asked.record is not None:
                return asked.record.with_(done=False)
            return Heard(
                request_id=asked.request_id,
                session_id=asked.session_id,
                request_seq=asked.request_seq,
                done=False,
                heard_by="unknown",
            )
        cut_here = self._is_cut_by_record(asked) or (_is_unheard(asked.report) and self._is_cut_by_report(asked))
        return asked.record if cut_here else None

    def _is_settled(self, asked: _Asked) -> bool:
        report, record = asked.report, asked.record
        if self._is_cut_by_record(asked):
            return True
        if report is None:
            duplicate = self._reported.get(asked.request_id, asked.request_seq) != asked.request_seq
            return duplicate or (record is not None and record.done)
        if _is_unheard(report):
            return report.final
        if record is not None and record.done:
            return True
        if report.status == "cancelled":
            return not self._is_cut_by_report(asked)
        # The bridge writes the first record beside the reports: the report of a short utterance may be final before it.
        comes = report.sent_seconds > 0 and self._knows_before and asked.reported_at > self._reports_before
        return report.final and record is None and not comes

    def _is_cut_by_record(self, asked: _Asked) -> bool:
        return asked.record is not None and asked.record.done and asked.record.cancel_seq == self._cancel_seq

    def _is_cut_by_report(self, asked: _Asked) -> bool:
        """Whether the request was cancelled, and that was not known before this cancel."""
        report = asked.report
        return report is not None and report.status == "cancelled" and asked.reported_at > self._reports_before


def _is_unheard(report: Report | None) -> bool:
    """Whether nobody says how much of it was heard: it is delivered as a file, or not at all."""
    return report is not None and (report.transport in ("http", "none") or report.fallback is not None)
