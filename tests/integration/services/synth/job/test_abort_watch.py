"""`AbortWatch` on a real nats-server: a cancel or a report that is stored after it began."""

from __future__ import annotations

import asyncio
import time

import pytest

from orastream.contract import codec
from orastream.contract.messages import Status
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.contract.superseding import Supersedes
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.report_store import ReportStore
from services.synth.job.abort_watch import AT_REST_S, AbortWatch
from services.synth.queue.superseded import SupersedingReader, later
from tests.support.ending import store_request
from tests.support.names import NAMES

pytestmark = pytest.mark.integration


async def report(js: JetStream, stored: StoredRequest, status: Status) -> None:
    """Write a report of the request."""
    await ReportStore(js).write(stored, stored.report(status), None)


async def test_it_ends_when_the_request_was_cancelled_and_deleted_before(js: JetStream) -> None:
    """The request and the cancel are not stored any more; only the report shows the cancel."""
    stored = await store_request(js)
    async with AbortWatch(SupersedingReader(js, "espeak", 5000), stored) as watch, asyncio.timeout(10):
        cancel = await js.store(NAMES.cancel("s"), b"{")  # covers nothing, as it cannot be read
        await report(js, stored, "cancelled")
        for sequence in (stored.sequence, cancel.sequence):
            await js.delete(NAMES.sessions_stream, sequence)
        final = await watch.until_aborted()
    assert final is not None and final.status == "cancelled"


async def test_it_ends_when_a_final_report_is_stored(js: JetStream) -> None:
    """A progress report does not end the synthesis; a final one does."""
    stored = await store_request(js)
    async with AbortWatch(SupersedingReader(js, "espeak", 5000), stored) as watch, asyncio.timeout(10):
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
    async with AbortWatch(SupersedingReader(js, "espeak", 5000), stored) as watch, asyncio.timeout(10):
        waiting = asyncio.create_task(watch.until_aborted())
        await js.store(NAMES.cancel("s"), b'{"requestId":"another"}')
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await js.store(NAMES.cancel("s"), b"")
        assert await waiting is None


async def supersede(js: JetStream, request_id: str, **fields: object) -> StoredRequest:
    """Store a request of session s that asks to supersede."""
    body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": request_id, "supersede": True, **fields}
    ack = await js.store(NAMES.request("s"), codec.encode(body, "json"))
    message = await js.get(NAMES.sessions_stream, ack.sequence)
    assert message is not None
    stored = read_message(message, NAMES, max_text_chars=5000)
    assert isinstance(stored, StoredRequest)
    return stored


async def test_it_ends_when_a_request_that_supersedes_is_stored(js: JetStream) -> None:
    """Not for what supersedes nothing: an invalid one, one of another engine, a duplicate, a copy of one that waits."""
    first = await store_request(js, "first")
    await report(js, first, "delivered")
    await store_request(js, "waits")
    stored = await store_request(js)
    async with AbortWatch(SupersedingReader(js, "espeak", 5000), stored) as watch, asyncio.timeout(20):
        waiting = asyncio.create_task(watch.until_aborted())
        await supersede(js, "bad", speed=9)
        await supersede(js, "engine", engine="another")
        await supersede(js, "first")
        await supersede(js, "waits")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await supersede(js, "new", engine="espeak")
        assert await waiting is None


async def test_it_ends_when_one_of_which_it_was_not_known_is_claimed(js: JetStream) -> None:
    """Sooner than by a read after AT_REST_S."""
    stored = await store_request(js)
    reader = SupersedingReader(js, "espeak", 5000)
    again = await supersede(js, "again", redeliverOf="r0", text=None)
    assert await reader.judged(again) is Supersedes.UNKNOWN
    found = await later(reader, stored)
    assert not found.cancelled and found.undecided == [again]
    async with AbortWatch(reader, stored) as watch, asyncio.timeout(AT_REST_S - 1):
        watch.consider(found.undecided)
        waiting = asyncio.create_task(watch.until_aborted())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await report(js, again, "synthesizing")
        assert await waiting is None


class NoAnswer(JetStream):
    """The stream of reports has no leader: no question about a report is answered."""

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See JetStream."""
        await asyncio.sleep(30)
        return await super().last(stream, subject)


async def test_a_cancel_does_not_wait_for_what_is_asked_about_another_request(js: JetStream) -> None:
    stored = await store_request(js)
    async with AbortWatch(SupersedingReader(NoAnswer(js.broker), "espeak", 5000), stored) as watch, asyncio.timeout(5):
        waiting = asyncio.create_task(watch.until_aborted())
        await supersede(js, "again", redeliverOf="r0", text=None)
        await asyncio.sleep(0.5)
        await js.store(NAMES.cancel("s"), b"")
        assert await waiting is None


async def test_the_claim_sees_what_was_stored_before_it_watches(js: JetStream) -> None:
    stored, reader = await store_request(js), SupersedingReader(js, "espeak", 5000)
    for number in range(70):  # more than a page
        body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": f"r{number}"}
        if number < 60:
            await js.store(NAMES.request("s"), codec.encode(body, "json"))
        else:
            await js.store(NAMES.cancel("s"), b'{"requestId":"another"}')
    assert not (await later(reader, stored)).cancelled
    new = await supersede(js, "new")
    assert (await later(reader, stored)).cancelled
    assert not (await later(reader, new)).cancelled


class EndsMeanwhile(JetStream):
    """After the first read of a report, an earlier request ends: its report is written, and it is deleted."""

    ending: StoredRequest | None = None

    async def last(self, stream: str, subject: str) -> Stored | None:
        """See JetStream."""
        read = await super().last(stream, subject)
        if (ending := self.ending) is not None:
            self.ending = None
            reports, final = ReportStore(self), ending.report("expired")
            await reports.write_first(ending, final)
            assert await reports.close(ending, final)
        return read


async def test_a_duplicate_of_one_that_ends_meanwhile_supersedes_nothing(js: JetStream) -> None:
    """The earlier one leaves the list of requests only when its report is stored, so the report is read last."""
    mine = EndsMeanwhile(js.broker)
    mine.ending = await store_request(js, "n")
    assert await SupersedingReader(mine, "espeak", 5000).judged(await supersede(js, "n")) is not Supersedes.YES


async def test_the_texts_of_a_session_are_not_parsed_to_judge_a_request(js: JetStream) -> None:
    """Each earlier request asks this: with the texts it would take minutes for a full session of SSML."""
    text = f"<speak>{'가👍&lt;. ' * 550}</speak>"
    stored = [await store_request(js, f"r{number}", ssml=True, text=text) for number in range(30)]
    new, reader = await supersede(js, "new"), SupersedingReader(js, "espeak", 5000)
    messages = [await js.get(NAMES.sessions_stream, one.sequence) for one in stored]
    began_s = time.thread_time()
    for message in messages:
        assert message is not None and isinstance(read_message(message, NAMES, max_text_chars=5000), StoredRequest)
    parsed_s = time.thread_time() - began_s
    assert await reader.judged(new) is Supersedes.YES
    assert time.thread_time() - began_s - parsed_s < parsed_s / 2
