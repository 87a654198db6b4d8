"""A request that is deleted before a synth gets it: it ends as failed, unless another synth has claimed it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orastream.broker import Broker, Headers
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.messages import Report
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.job import job
from services.synth.job.hold import Hold
from services.synth.queue.claim import Claim, claim
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


async def test_a_deleted_request_gets_its_final_report(
    nats_server: NatsServer, broker: Broker, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deleted_before(reader: Any, reports: Any, stored: StoredRequest, *rest: Any) -> Claim:
        await js.delete(NAMES.sessions_stream, stored.sequence)
        return await claim(reader, reports, stored, *rest)

    replies: asyncio.Queue[Report] = asyncio.Queue()

    def on_reply(_subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        replies.put_nowait(Report.decode(data))

    monkeypatch.setattr(job, "claim", deleted_before)
    await broker.subscribe("tts.reply.here", on_reply)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        await client.say("Good.", session_id="s", phone_id="p", request_id="r", reply_to="tts.reply.here")
        report = await client.wait("s", "r", 20)
        assert report.error is not None and (report.status, report.error.code) == ("failed", "internal")
        async with asyncio.timeout(20):
            assert await replies.get() == report


async def test_the_claim_of_another_synth_is_not_ended(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its audio may be complete, and its bridge may deliver it."""
    dropped = asyncio.Event()
    reports = ReportStore(js)

    async def claimed_by_another(reader: Any, own: Any, stored: StoredRequest, report: Report, start: Any) -> Claim:
        await claim(reader, reports, stored, report, start)
        await js.delete(NAMES.sessions_stream, stored.sequence)
        return await claim(reader, own, stored, report, start)

    async def ack(hold: Hold) -> None:
        dropped.set()
        await acked(hold)

    acked = Hold.ack
    monkeypatch.setattr(Hold, "ack", ack)
    monkeypatch.setattr(job, "claim", claimed_by_another)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        await client.say("Good.", session_id="s", phone_id="p", request_id="r")
        async with asyncio.timeout(20):
            await dropped.wait()
        state = await reports.read("s", subjects.token("r"))
        assert state is not None and state.report.status == "synthesizing"
