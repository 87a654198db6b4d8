"""Stored requests, cancels and reports of one session, for the tests of its rules."""

from __future__ import annotations

import json
from typing import Any

from orastream.contract.messages import Status, Transport
from orastream.contract.report_state import ReportState
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_stored
from tests.support.names import NAMES

SESSION = "s"


def request(sequence: int, transport: str | None = None, **fields: Any) -> StoredRequest:
    """A request stored at `sequence`. `fields` are those of its JSON."""
    value = {"text": "a", "sessionId": SESSION, "phoneId": "p", "transport": transport, **fields}
    payload = json.dumps(value).encode()
    stored = read_stored(NAMES, NAMES.session_request(SESSION), sequence, 0.0, payload, max_text_chars=100)
    assert isinstance(stored, StoredRequest) and stored.problem is None
    return stored


def cancel(sequence: int, payload: bytes = b"", *, stored_at_s: float = 0.0) -> StoredCancel:
    """A cancel stored at `sequence`: of the whole session, or of the request that `payload` names."""
    stored = read_stored(NAMES, NAMES.session_cancel(SESSION), sequence, stored_at_s, payload, max_text_chars=100)
    assert isinstance(stored, StoredCancel)
    return stored


def cancel_of(sequence: int, request_id: str) -> StoredCancel:
    """A cancel of one request, stored at `sequence`."""
    return cancel(sequence, json.dumps({"requestId": request_id}).encode())


def state(
    of: StoredRequest, status: Status, revision: int, transport: Transport | None = None, **more: Any
) -> ReportState:
    """The report of a request, stored at `revision`. `transport`: by which synth claimed it; default WebSocket."""
    report = of.report(status, transport=transport or of.stated_transport or "websocket")
    return ReportState(report.with_(**more), revision, 0.0)
