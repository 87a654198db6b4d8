"""What an owner may do to the reports of a later owner, and to requests of the other bridge; on a real nats-server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioEnd
from orastream.contract.report_state import Verdict
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.contract.stream_names import SESSIONS
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session_effects import Inspect
from orastream.delivery.rules.session_outcomes import Purpose, Stuck
from orastream.delivery.runtime.housekeeping import Housekeeping
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.runtime.report_writer import ReportWriter
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore

pytestmark = pytest.mark.integration


async def claimed(js: JetStream, reports: ReportStore, **fields: Any) -> Entry:
    """A stored request that a synth has claimed, as an owner knows it."""
    acceptance = await Client(js.broker).say(
        "Good.", session_id="s", phone_id="p", request_id="r", fire_and_forget=True, **fields
    )
    assert isinstance(acceptance, Acceptance)
    message = await js.get(SESSIONS, acceptance.request_seq)
    assert message is not None
    stored = read_message(message, max_text_chars=100)
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
    await js.store(subjects.put_audio("s", subjects.token("r")), AudioEnd(1, "complete", 0, 0, 0.0).pack())
    http, websocket = Lease(js, "http_bridge"), Lease(js, "ws_bridge")
    await asyncio.gather(http.beat(), websocket.beat())
    housekeeping = Housekeeping(js, Owners(js, "ws_bridge", websocket), reports, 1, "s")
    owned = await Owners(js, "http_bridge", http).take("s")
    assert owned is not None
    assert await housekeeping.carry_out(Inspect(entry)) is None, "http_bridge waits, or tries again"
    await Owners(js, "http_bridge", http).release(owned)
    assert await housekeeping.carry_out(Inspect(entry)) == Stuck(entry)
