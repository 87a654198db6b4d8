"""Finds the last report of a request in the streams, also of a request that nobody has claimed yet."""

from __future__ import annotations

from orastream.contract.messages import Report
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import next_request


async def last_report(js: JetStream, session: str, token: str, *, max_text_chars: int) -> Report | None:
    """Return the last report of a request, given by tokens: `queued` if it is stored and has none yet.

    None if the request is unknown. Asks the leaders of the streams. Raises NodeUnavailable. Cancel-safe.
    """
    reports = ReportStore(js)
    state = await reports.read(session, token)
    if state is not None:
        return state.report
    queued = await _find_queued(js, session, token, max_text_chars)
    if queued is not None:
        return queued.report("queued")
    state = await reports.read(session, token)  # claimed and ended between the two reads
    return state.report if state else None


async def _find_queued(js: JetStream, session: str, token: str, max_text_chars: int) -> StoredRequest | None:
    after = 0
    while (message := await next_request(js, session, after)) is not None:
        after = message.sequence
        stored = read_message(message, js.names, max_text_chars=max_text_chars)
        if isinstance(stored, StoredRequest) and stored.token == token:
            return stored
    return None
