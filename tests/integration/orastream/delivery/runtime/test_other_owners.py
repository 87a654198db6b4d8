"""What an owner may do to the reports of a later owner, and to requests of the other bridge; on a real nats-server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioEnd
from orastream.contract.report_state import Verdict
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.delivery.rules import session_errors
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_effects import End, Inspect
from orastream.delivery.rules.session_outcomes import Inspected, Purpose, ReportWritten
from orastream.delivery.runtime.housekeeping import Housekeeping
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.runtime.report_writer import ReportWriter
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from tests.support.names import NAMES

pytestmark = pytest.mark.integration


async def claimed(js: JetStream, reports: ReportStore, **fields: Any) -> Entry:
    """A stored request that a synth has claimed, as an owner knows it."""
    acceptance = await Client(js.broker).say(
        "Good.", session_id="s", phone_id="p", request_id="r", fire_and_forget=True, **fields
    )
    assert isinstance(acceptance, Acceptance)
    message = await js.get(NAMES.sessions_stream, acceptance.request_seq)
    assert message is not None
    stored = read_message(message, NAMES, max_text_chars=100)
    assert isinstance(stored, StoredRequest)
    entry = Entry(stored, 0.0)
    written = await reports.write_first(stored, stored.report("synthesizing"))
    entry.reported(written.state.report, written.state.revision, 0.0)
    return entry


@pytest.mark.parametrize("purpose", [Purpose.CHECKPOINT, Purpose.DELIVERY_END])
async def test_an_owner_does_not_overwrite_the_report_of_a_later_owner_that_it_has_read(
    js: JetStream, purpose: Purpose
) -> None:
    reports = ReportStore(js)
    entry = await claimed(js, reports)
    assert entry.report is not None
    fence = await reports.write(entry.stored, entry.report.with_(status="delivering", epoch=9), entry.revision)
    entry.reported(fence.state.report, fence.state.revision, 1.0)  # its feed shows it, before the owner has left
    status = "delivering" if purpose is Purpose.CHECKPOINT else "delivered"
    mine = entry.report.with_(status=status, epoch=5, delivered_chunks=3)
    written = await ReportWriter(reports, entry).store(mine, purpose)
    assert (written.verdict, written.state.report.epoch) == (Verdict.SUPERSEDED, 9)
    stored = await reports.read("s", subjects.token("r"))
    assert stored is not None and stored.report == fence.state.report


async def test_a_request_is_stuck_only_while_no_living_bridge_of_its_transport_owns_the_session(js: JetStream) -> None:
    reports = ReportStore(js)
    entry = await claimed(js, reports, use_websocket=False)
    await js.store(NAMES.put_audio("s", subjects.token("r")), AudioEnd(1, "complete", 0, 0, 0.0).pack())
    http, websocket = Lease(js, "http_bridge"), Lease(js, "ws_bridge")
    await asyncio.gather(http.beat(), websocket.beat())
    housekeeping = Housekeeping(js, Owners(js, "ws_bridge", websocket), reports, 1, "s", "websocket")
    owned = await Owners(js, "http_bridge", http).take("s")
    assert owned is not None
    assert await housekeeping.carry_out(Inspect(entry)) == Inspected(entry, lives=True, audio_ended=True)
    await Owners(js, "http_bridge", http).release(owned)
    assert await housekeeping.carry_out(Inspect(entry)) == Inspected(entry, lives=False, audio_ended=True)


async def test_a_stuck_request_whose_bridge_reports_meanwhile_is_not_ended(js: JetStream) -> None:
    """Epochs of bridges of different transports have no order: that bridge's may be lower."""
    reports = ReportStore(js)
    entry = await claimed(js, reports, use_websocket=False)
    assert entry.report is not None
    lease = Lease(js, "ws_bridge")
    housekeeping = Housekeeping(js, Owners(js, "ws_bridge", lease), reports, 9, "s", "websocket")
    end = End(entry, "failed", session_errors.not_delivered("http"), entry.revision, exact=True)
    progress = await reports.write(entry.stored, entry.report.with_(status="delivering", epoch=5), entry.revision)
    outcome = await housekeeping.carry_out(end)
    assert isinstance(outcome, ReportWritten) and not outcome.ended_here
    assert outcome.state.report == progress.state.report
    entry.reported(progress.state.report, progress.state.revision, 1.0)
    outcome = await housekeeping.carry_out(replace(end, revision=entry.revision))
    assert isinstance(outcome, ReportWritten) and outcome.ended_here
