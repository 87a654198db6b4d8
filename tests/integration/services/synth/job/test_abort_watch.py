"""`AbortWatch` on a real nats-server: a cancel or a report that is stored after it began."""

from __future__ import annotations

import asyncio

import pytest

from orastream.contract.messages import Status
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.job.abort_watch import AbortWatch
from tests.support.ending import store_request
from tests.support.names import NAMES

pytestmark = pytest.mark.integration


async def report(js: JetStream, stored: StoredRequest, status: Status) -> None:
    """Write a report of the request."""
    await ReportStore(js).write(stored, stored.report(status), None)


async def test_it_ends_when_the_request_was_cancelled_and_deleted_before(js: JetStream) -> None:
    """The request and the cancel are not stored any more; only the report shows the cancel."""
    stored = await store_request(js)
    async with AbortWatch(js, stored) as watch, asyncio.timeout(10):
        cancel = await js.store(NAMES.cancel("s"), b"{")  # covers nothing, as it cannot be read
        await report(js, stored, "cancelled")
        for sequence in (stored.sequence, cancel.sequence):
            await js.delete(NAMES.sessions_stream, sequence)
        final = await watch.until_aborted()
    assert final is not None and final.status == "cancelled"


async def test_it_ends_when_a_final_report_is_stored(js: JetStream) -> None:
    """A progress report does not end the synthesis; a final one does."""
    stored = await store_request(js)
    async with AbortWatch(js, stored) as watch, asyncio.timeout(10):
        waiting = asyncio.create_task(watch.until_aborted())
        for _ in range(3):
            await report(js, stored, "delivering")
            await asyncio.sleep(0.2)
        assert not waiting.done()
        await report(js, stored, "failed")
        final = await waiting
    assert final is not None and final.status == "failed"


async def test_it_ends_when_a_cancel_is_stored(js: JetStream) -> None:
    """A cancel of another request does not end this one."""
    stored = await store_request(js)
    async with AbortWatch(js, stored) as watch, asyncio.timeout(10):
        waiting = asyncio.create_task(watch.until_aborted())
        await js.store(NAMES.cancel("s"), b'{"requestId":"another"}')
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await js.store(NAMES.cancel("s"), b"")
        assert await waiting is None
