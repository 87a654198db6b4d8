"""What was heard: `GET /api/heard/{sessionId}/{requestId}`, and `POST /api/cancel/{sessionId}?wait`."""

from __future__ import annotations

import math

import structlog
from pydantic import BaseModel

from orastream.client.cancelling import DEFAULT_CUT_S, CutWatch, HeardUnreadable
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest
from orastream.contract.heard import Heard
from orastream.contract.messages import Cancel
from services.gateway.http.openapi import CANCEL, REFUSALS, ErrorBody, path_ids, responses
from services.gateway.http.responses import Answer, error
from services.gateway.request_service import RequestService

log = structlog.get_logger()

MAX_WAIT_S = 30.0
"""The longest wait that `wait` may ask for."""


class CutBody(BaseModel):
    """The cancel is stored, and `heard` has a record of each utterance that it has cut."""

    sessionId: str
    cancelSeq: int
    heard: list[Heard]


HEARD = responses(
    {200: ("Heard", "the record"), 404: (ErrorBody, "no such record within the last hour")},
    {status: REFUSALS[status] for status in (401, 403, 422, 429, 500, 503)},
)
CUT = CANCEL | {200: {"model": CutBody, "description": "with `wait`: stored, and what was heard"}}
CUT_PARAMETERS: Map = {
    "parameters": [
        *path_ids("sessionId")["parameters"],
        {
            "name": "wait",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"anyOf": [{"enum": ["", "true", "false"]}, {"type": "number", "minimum": 0, "maximum": 30}]},
            "description": "wait for what was heard: seconds at most; empty or `true`: 5",
        },
    ]
}


async def heard(request_service: RequestService, session_id: str, request_id: str) -> Answer:
    """The answer for the record of a request. Raises InvalidRequest, NodeUnavailable."""
    found = await request_service.client.heard(session_id, request_id)
    if found is None:
        return error(404, "not_found", "no record of what was heard of this request within the last hour")
    return Answer(200, found.to_map(), "found")


def wait_seconds(value: str | None) -> float | None:
    """How long `wait` asks to wait, in seconds; None: not at all. Raises InvalidRequest."""
    if value is None or value == "false":
        return None
    if value in ("", "true"):
        return DEFAULT_CUT_S
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_S:
        raise InvalidRequest("wait", f"must be true, false or seconds from 0 to {MAX_WAIT_S:g}")
    return seconds


async def cancelled(request_service: RequestService, session_id: str, cancel: Cancel, wait_s: float | None) -> Answer:
    """Store the cancel and return the answer: 202; with `wait_s`, 200 with what was heard, after so long at most.

    It is 202, too, if what was heard cannot be read: an error would make callers cancel again, and with it later
    requests. A waiting cancel counts as a request in flight. When the gateway ends, it answers with what is known.
    Raises InvalidRequest, Overloaded, NodeUnavailable.
    """
    client = request_service.client
    if wait_s is None:
        sequence = await client.cancel(session_id, cancel.request_id)
        return Answer(202, {"sessionId": session_id, "cancelSeq": sequence}, "accepted")
    watch = CutWatch(client.reads, session_id, cancel.request_id, timeout_s=wait_s)
    try:
        with request_service.place(), request_service.calling_on_close(watch.stop):
            if request_service.closing:
                watch.stop()
            cut = await watch.run()
    except HeardUnreadable as exc:
        log.warning("what was heard could not be read", error=str(exc))
        return Answer(202, {"sessionId": session_id, "cancelSeq": exc.cancel_seq}, "accepted")
    records = [record.to_map() for record in cut.heard]
    return Answer(200, {"sessionId": session_id, "cancelSeq": cut.cancel_seq, "heard": records}, "found")
