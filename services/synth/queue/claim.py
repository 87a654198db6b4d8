"""Claims a request with four calls in parallel: is it stored, is it cancelled, first report, first `start`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from orastream.contract.audio_messages import AudioStart
from orastream.contract.errors import SequenceConflict
from orastream.contract.messages import Report, ReportError
from orastream.contract.report_state import ReportState
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.queue.admission import Admission, ClaimAnswers, admit
from services.synth.queue.superseded import SupersedingReader, later


@dataclass(frozen=True, slots=True)
class Claim:
    """The result: what to do, the stored report, and the sequence of our `start` if it was the first one."""

    admission: Admission
    state: ReportState
    attempt: int | None
    undecided: list[StoredRequest]
    """Later requests of which it is not known yet whether they supersede this one."""


async def claim(
    reader: SupersedingReader, reports: ReportStore, stored: StoredRequest, report: Report, start: AudioStart
) -> Claim:
    """Claims a request by writing its first report. Raises NodeUnavailable.

    Cancel-safe: the next call finds a report that this one has stored.
    """
    js = reader.js
    still_stored, after, state, attempt = await asyncio.gather(
        js.get(js.names.sessions_stream, stored.sequence),
        later(reader, stored),
        _first_report(reports, stored, report),
        _first_start(js, stored, start),
    )
    answers = ClaimAnswers(stored.sequence, still_stored is not None, after.cancelled, state.report)
    return Claim(admit(answers), state, attempt, after.undecided)


async def _first_report(reports: ReportStore, stored: StoredRequest, report: Report) -> ReportState:
    return (await reports.write_first(stored, report)).state


async def _first_start(js: JetStream, stored: StoredRequest, start: AudioStart) -> int | None:
    try:
        ack = await js.store(js.names.put_audio(stored.session, stored.token), start.pack(), expect_last=0)
        return ack.sequence
    except SequenceConflict:
        return None


def problem_of(stored: StoredRequest, speaks: str) -> ReportError | None:
    """Returns why a synth with the engine `speaks` cannot speak the request, or None."""
    request = stored.request
    if request is None:
        return ReportError.of("invalid_request", str(stored.problem))
    if request.redeliver_of is None and not request.spoken_with(speaks):
        return ReportError.of("invalid_request", f"engine: this node speaks with {speaks!r}; leave it out")
    return None


async def overdue(reports: ReportStore, stored: StoredRequest, now_s: float) -> bool:
    """Whether the request's ttl has passed and nobody has claimed it. Raises NodeUnavailable.

    `now_s` is the time now in unix seconds of the server's clock.
    """
    if now_s <= stored.stored_at_s + stored.ttl_s:
        return False
    return await reports.read(stored.session, stored.token) is None
