"""Waits until a request need not be synthesized any more: it is cancelled, or its bridge has written a final report."""

from __future__ import annotations

import asyncio

from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import EndError
from orastream.contract.messages import Report
from orastream.contract.report_state import state_of
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed


async def until_aborted(js: JetStream, stored: StoredRequest) -> Report | None:
    """Return None when a cancel that covers the request is stored, or the final report that ends it. Cancel-safe.

    The report is needed when the cancel is not stored any more: the bridge that applied it deletes it with the request.
    """
    changed = asyncio.Event()
    cancels = subjects.session_cancel(stored.session)
    reports = subjects.report(stored.session, stored.token)
    async with (
        Feed(js, stream_names.SESSIONS, cancels, wake=changed.set, after=stored.sequence) as asked,
        Feed(js, stream_names.REPORTS, reports, wake=changed.set) as reported,
    ):
        while True:
            changed.clear()
            while (message := asked.pop()) is not None:
                if cancels_it(message, stored):
                    return None
            while (message := reported.pop()) is not None:
                state = state_of(message)
                if state is not None and ends_it(state.report, stored):
                    return state.report
            await changed.wait()


def cancels_it(message: Stored, stored: StoredRequest) -> bool:
    """Whether this message of the session's subject is a cancel that covers the request."""
    event = read_message(message, max_text_chars=0)
    return not isinstance(event, StoredRequest) and event.covers(stored.sequence, stored.token)


def ends_it(report: Report, stored: StoredRequest) -> bool:
    """Whether this report says that the rest of the audio is not needed. A report of an older request with the same id
    does not.

    Neither does `delivered`: the whole audio is stored then, so the synthesis ends by itself.
    """
    return report.request_seq == stored.sequence and report.final and report.status != "delivered"


def error_of(report: Report | None) -> EndError | None:
    """The error for the audio's `end`: the report's error; None if the request is cancelled."""
    if report is None or report.error is None:
        return None
    return EndError(report.error.code, report.error.message)
