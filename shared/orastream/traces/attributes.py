"""Span attributes: OpenTelemetry's messaging names, and our own under `orastream.`. Never the spoken text. Pure.

Source: OpenTelemetry semantic conventions for messaging spans, 1.27 and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from orastream.contract.names import Names
from orastream.traces.span import Span, Value

if TYPE_CHECKING:
    from orastream.contract.messages import Report
    from orastream.contract.stored_requests import StoredRequest

Attributes = dict[str, Value | None]


def messaging(
    operation: str, kind: Literal["send", "process"], subject: str, template: str, *, group: str = ""
) -> Attributes:
    """Attributes of an operation on a message; `template` is `subject` with names for its variable parts."""
    return {
        "messaging.system": "nats",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": subject,
        "messaging.destination.template": template,
        "messaging.consumer.group.name": group or None,
    }


def identity(session_id: str, request_id: str | None, request_seq: int | None = None) -> Attributes:
    """Attributes that identify a request."""
    return {
        "orastream.session_id": session_id,
        "orastream.request_id": request_id,
        "orastream.request_seq": request_seq,
    }


def taken(names: Names, stored: StoredRequest, operation: str, group: str) -> Attributes:
    """Attributes of a stored request that the service `group` works on. `names`: of its node."""
    return messaging(
        operation,
        "process",
        names.session_request(stored.session),
        names.session_request("{session}"),
        group=group,
    ) | identity(stored.session_id, stored.request_id, stored.sequence)


def record(span: Span, report: Report) -> None:
    """Add the values of a final report to `span`, and its error if the request failed or expired."""
    span.set(
        {
            "orastream.request_seq": report.request_seq,
            "orastream.status": report.status,
            "orastream.transport": report.transport,
            "orastream.chunks": report.delivered_chunks,
            "orastream.bytes": report.bytes,
            "orastream.audio_seconds": report.audio_seconds,
            "orastream.reconnects": report.reconnects,
            "orastream.retransmitted": report.retransmitted,
        }
    )
    if report.error is not None:
        span.fail(report.error.code, report.error.message)
