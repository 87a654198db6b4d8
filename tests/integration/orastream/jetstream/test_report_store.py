"""`ReportStore` against a real nats-server: own reports, refused writes, reports overwritten by another writer."""

from __future__ import annotations

import pytest

from orastream.contract.messages import ReportError
from orastream.contract.report_state import Verdict, state_of
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.report_store import OWN, ReportStore
from tests.support.ending import store_request
from tests.support.names import NAMES

pytestmark = pytest.mark.integration


async def last_report(js: JetStream, stored: StoredRequest) -> Stored:
    message = await js.last(NAMES.reports_stream, NAMES.report(stored.session, stored.token))
    assert message is not None
    return message


async def test_state_of_is_the_same_for_an_own_report_and_a_decoded_one(js: JetStream) -> None:
    """The writer's remembered report and a decoded one give the same state."""
    mine, others = ReportStore(js), ReportStore(js)
    stored = await store_request(js)
    first = await mine.write(stored, stored.report("synthesizing", transport="http"), 0)
    assert first.verdict is Verdict.WRITTEN
    message = await last_report(js, stored)
    assert mine.state_of(message) == others.state_of(message) == state_of(message)
    assert mine.state_of(message).report is first.state.report  # type: ignore[union-attr]
    assert mine.state_of(message).stored_at_s > 1_700_000_000  # type: ignore[union-attr]

    await others.write(stored, stored.report("delivering", transport="http"), first.state.revision)
    message = await last_report(js, stored)
    seen = mine.state_of(message)
    assert seen == state_of(message)
    assert seen is not None
    assert (seen.report.status, seen.revision) == ("delivering", message.sequence)


async def test_state_of_returns_the_stored_report_after_a_refused_write(js: JetStream) -> None:
    mine, others = ReportStore(js), ReportStore(js)
    stored = await store_request(js)
    await others.write(stored, stored.report("cancelled"), 0)
    refused = await mine.write(stored, stored.report("delivering", transport="http"), 0)
    assert refused.verdict is Verdict.FINAL
    seen = mine.state_of(await last_report(js, stored))
    assert seen is not None
    assert seen.report.status == "cancelled"


async def test_store_remembers_only_its_last_reports(js: JetStream) -> None:
    """Older reports are decoded, so that memory stays bounded."""
    mine = ReportStore(js)
    written = []
    for number in range(OWN + 2):
        stored = await store_request(js, f"r{number}")
        written.append((stored, (await mine.write(stored, stored.report("synthesizing"), 0)).state.report))
    recognised = []
    for stored, report in written:
        seen = mine.state_of(await last_report(js, stored))
        assert seen is not None
        assert seen.report == report
        recognised.append(seen.report is report)
    assert recognised == [False] * 2 + [True] * OWN


JUNK = b'{"stream":"TTS_SESSIONS","seq":7}'


async def test_write_overwrites_a_message_that_is_no_report(js: JetStream) -> None:
    """A publisher can use the subject as reply subject, and then the server's publish ack is stored there."""
    for request, write in (("a", "write"), ("b", "write_first")):
        stored = await store_request(js, request)
        await js.store(NAMES.put_report("s", request), JUNK)
        reports = ReportStore(js)
        assert await reports.read("s", request) is None
        if write == "write":
            written = await reports.write(stored, stored.report("failed"), None)
        else:
            written = await reports.write_first(stored, stored.report("failed"))
        assert written.verdict is Verdict.WRITTEN
        state = await reports.read("s", request)
        assert state is not None and state.report.status == "failed"


async def test_a_request_that_supersedes_is_deleted_after_those_before_it(js: JetStream) -> None:
    """If synth has refused it, it supersedes nothing and is deleted at once; not if it failed later, for its voice."""
    reports = ReportStore(js)
    old = await store_request(js, "old")
    new = await store_request(js, "new", supersede=True)
    cancelled, final = old.report("cancelled"), new.report("delivered")
    assert not await reports.close(new, final)
    voice = ReportError.of("invalid_request", "voice: there is none")
    assert not await reports.close(new, new.report("failed", error=voice))
    assert await js.get(NAMES.sessions_stream, new.sequence) is not None
    assert await reports.close(old, cancelled)
    assert await reports.close(new, final)
    assert await js.after(NAMES.sessions_stream, NAMES.session_events("s"), 0) is None
    await store_request(js, "another")
    bad = await store_request(js, "bad", supersede=True, engine="unknown")
    error = ReportError.of("invalid_request", "engine: there is none")
    assert await reports.close(bad, bad.report("failed", error=error))
