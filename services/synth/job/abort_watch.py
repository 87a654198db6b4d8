"""Listening for what ends the speaking of one request: a cancel, or its final report by whoever delivers it."""

from __future__ import annotations

import asyncio

from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import EndError
from orastream.contract.messages import Report
from orastream.contract.report_state import state_of
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed


async def until_unwanted(js: JetStream, stored: StoredRequest) -> Report | None:
    """Return when a cancel that covers the request is stored, or with a final report that ends it. Cancel-safe.

    The report also tells of a cancel that is not stored any more: whoever applied it has deleted it with the request.
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
    """Whether this message of the session is a cancel that covers the request."""
    event = read_message(message, max_text_chars=0)
    return not isinstance(event, StoredRequest) and event.covers(stored.sequence, stored.token)


def ends_it(report: Report, stored: StoredRequest) -> bool:
    """Whether it says that nobody will hear the rest. One of an older request of the same id says nothing of this one.

    What is delivered was stored whole: then the speaking is over, or about to be.
    """
    return report.request_seq == stored.sequence and report.final and report.status != "delivered"


def error_of(report: Report | None) -> EndError | None:
    """The error by which its audio ends: the report's, or none where it is cancelled."""
    if report is None or report.error is None:
        return None
    return EndError(report.error.code, report.error.message)
