"""Delivers requests again whose delivery has failed, from their stored audio."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.codec import Map
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report

UNDELIVERED = ("oraserver_unreachable", "oraserver_refused")
"""Codes of requests whose audio was made and did not reach OraServer."""


async def reports_of(client: Client, session_id: str | None) -> list[Report]:
    """Returns the last report of each request of the session (None: of all), of the last hour, in their order.

    Raises InvalidRequest, NodeUnavailable.
    """
    found: dict[tuple[str, str], Report] = {}
    session = None if session_id is None else subjects.token(session_id, "sessionId")
    for message in await client.reads.stored(session):
        with contextlib.suppress(Undecodable, ValueError):
            report = Report.decode(message.data)
            found[report.session_id, report.request_id] = report
    return sorted(found.values(), key=lambda report: report.request_seq)


def undelivered(reports: Iterable[Report]) -> list[Report]:
    """Returns those that have failed at OraServer, except what was asked to be delivered again since. Pure.

    Of a chain of deliveries that have all failed, it is the last one. A repeated delivery that failed for another
    reason, or expired, does not count.
    """
    reports = list(reports)
    again = {report.redeliver_of for report in reports if _failed(report) or report.status not in ("failed", "expired")}
    return [report for report in reports if _failed(report) and report.request_id not in again]


def next_id(report: Report, reports: Iterable[Report]) -> str:
    """Returns the id for the next delivery of that request. Pure.

    Two callers who see the same reports get the same id, so that the node speaks only one of their requests.
    """
    before = sum(one.redeliver_of == report.request_id for one in reports)
    return f"redeliver-{report.request_seq}-{before + 1}"


async def redeliver(client: Client, report: Report, request_id: str | None = None) -> Acceptance:
    """Asks to deliver the audio of that request again, as a new request behind all others of its session.

    `request_id` None: a random id. Raises InvalidRequest, Overloaded, NodeUnavailable.
    """
    fields: Map = {"sessionId": report.session_id, "phoneId": report.phone_id, "redeliverOf": report.request_id}
    if request_id is not None:
        fields["requestId"] = request_id
    if report.transport is not None and report.transport != "none":
        fields["transport"] = report.transport
    acceptance, _ = await client.submit(fields)
    return acceptance


def _failed(report: Report) -> bool:
    return report.error is not None and report.error.code in UNDELIVERED
