"""A cancel that waits for what was heard, on a real nats-server. The tests write reports and records as bridges do."""

from __future__ import annotations

import asyncio

import pytest

from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.client.cancelling import CutWatch, HeardUnreadable
from orastream.contract.errors import InvalidRequest, Overloaded
from orastream.contract.heard import Heard
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.ending import end, stored_request
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SOON_S = 10.0
"""Deadline of what takes milliseconds."""
LONG_S = 30.0
"""A time that no test waits for: it would end at SOON_S."""


async def ask(client: Client, request: str, session: str = "s") -> int:
    accepted = await client.submit({"text": "하나 둘", "sessionId": session, "phoneId": "p", "requestId": request})
    return accepted[0].request_seq


async def until_read(watch: CutWatch) -> None:
    async def has_read() -> bool:
        return watch.has_read

    await until(has_read, "the watch has read what is stored", timeout_s=SOON_S)


async def test_nothing_was_cut_is_known_at_once(js: JetStream, client: Client) -> None:
    """Also after an hour of utterances: heard, cancelled before, over HTTP, without a record."""
    await put_report(js, "s", "old", 1, "delivered")
    await put_record(js, a_record("s", "old", 1))
    await put_report(js, "s", "cut", 2, "cancelled")
    await put_record(js, a_record("s", "cut", 2, cancel_seq=3))
    await put_report(js, "s", "unknown", 4, "cancelled")
    await put_report(js, "s", "file", 5, "cancelled", transport="http")
    await put_report(js, "s", "expired", 6, "expired")
    await put_report(js, "other", "plays", 7, "delivering")
    async with asyncio.timeout(SOON_S):
        assert await client.cancel("s", wait=True, timeout_s=LONG_S) == ()
        assert await client.cancel("new", wait=True, timeout_s=LONG_S) == ()
        assert await client.cancel("s", "old", wait=True, timeout_s=LONG_S) == ()
        assert await client.cancel("s", "never", wait=True, timeout_s=LONG_S) == ()


async def test_the_result_has_what_was_cut_in_the_order_of_the_requests(js: JetStream, client: Client) -> None:
    first, second, third = [await ask(client, request) for request in ("b", "a", "c")]
    await put_report(js, "s", "b", first, "delivered")
    await put_record(js, a_record("s", "b", first, done=False))
    await put_report(js, "s", "a", second, "delivering")
    await put_record(js, a_record("s", "a", second, done=False))
    written: list[Heard] = []

    async def answer(cancel: int) -> None:
        """Of the third one, which nobody has claimed, the record comes before the report, of the second one after."""
        written.extend(
            (
                a_record("s", "b", first, cancel_seq=cancel),
                a_record("s", "a", second, cancel_seq=cancel),
                a_record("s", "c", third, cancel_seq=cancel, played_ms=0, heard_text="", cut=None),
            )
        )
        await put_record(js, written[2])
        await put_report(js, "s", "a", second, "cancelled")
        await put_record(js, written[1])
        await put_record(js, written[0])
        await put_report(js, "s", "c", third, "cancelled")

    async with at_each_cancel(js, answer), asyncio.timeout(SOON_S):
        assert await client.cancel("s", wait=True, timeout_s=LONG_S) == tuple(written)
        assert [record.request_id for record in written] == ["b", "a", "c"]


@pytest.mark.parametrize("named", [False, True])
async def test_a_request_that_nobody_has_claimed_is_waited_for(js: JetStream, client: Client, named: bool) -> None:
    sequence = await ask(client, "r")
    stored = await stored_request(js, "s", "r")
    watch = CutWatch(client.reads, "s", "r" if named else None, timeout_s=LONG_S)
    running = asyncio.create_task(watch.run())
    await until_read(watch)
    await ask(client, "later")
    await end(js, stored, "cancelled", transport="websocket")
    cancel = await js.last(NAMES.sessions_stream, NAMES.session_cancel("s"))
    assert cancel is not None and not running.done()
    heard = a_record("s", "r", sequence, cancel_seq=cancel.sequence, played_ms=0, heard_text="", unheard_text="하나 둘")
    await put_record(js, heard)
    async with asyncio.timeout(SOON_S):
        cut = await running
    assert (cut.cancel_seq, cut.heard) == (cancel.sequence, (heard,))


async def test_a_request_that_fails_was_not_cut(js: JetStream, client: Client) -> None:
    await ask(client, "r")
    stored = await stored_request(js, "s", "r")
    async with at_each_cancel(js, lambda _: end(js, stored, "failed")), asyncio.timeout(SOON_S):
        assert await client.cancel("s", wait=True, timeout_s=LONG_S) == ()


async def test_only_the_named_request_counts(js: JetStream, client: Client) -> None:
    await put_report(js, "방", "다른 것", 1, "delivering")
    await put_record(js, a_record("방", "다른 것", 1, done=False))
    await put_report(js, "방", "이것", 2, "delivering")
    await put_record(js, a_record("방", "이것", 2, done=False))

    async def answer(cancel: int) -> None:
        await put_report(js, "방", "이것", 2, "cancelled")
        await put_record(js, a_record("방", "이것", 2, cancel_seq=cancel))

    async with at_each_cancel(js, answer), asyncio.timeout(SOON_S):
        (found,) = await client.cancel("방", "이것", wait=True, timeout_s=LONG_S)
    assert (found.request_id, found.heard_text, found.unheard_text, found.done) == ("이것", "하나", "둘", True)


async def test_a_file_is_settled_by_its_report(js: JetStream, client: Client) -> None:
    unknown = {"heard_by": "unknown", "played_ms": None, "heard_text": None, "unheard_text": None, "cut": None}
    await put_report(js, "s", "posted", 1, "delivering", transport="http")
    await put_record(js, a_record("s", "posted", 1, **unknown))
    await put_report(js, "s", "none", 2, "synthesizing", transport="none")

    async def answer(_cancel: int) -> None:
        await put_report(js, "s", "posted", 1, "cancelled", transport="http")
        await put_report(js, "s", "none", 2, "cancelled", transport="none")

    async with at_each_cancel(js, answer), asyncio.timeout(SOON_S):
        found = await client.cancel("s", wait=True, timeout_s=LONG_S)
    assert found == (a_record("s", "posted", 1, **unknown),)


async def test_after_its_time_it_returns_what_is_known(js: JetStream, client: Client) -> None:
    """Some are settled; of the others the caller sees that they are not certain."""
    for seq, request in enumerate(("one", "two", "three"), 1):
        await put_report(js, "s", request, seq, "delivering")
    await put_record(js, a_record("s", "two", 2, done=False))

    async def answer(cancel: int) -> None:
        await put_record(js, a_record("s", "three", 3, cancel_seq=cancel))

    async with at_each_cancel(js, answer), asyncio.timeout(SOON_S):
        found = await client.cancel("s", wait=True, timeout_s=1.0)
    assert [(part.request_id, part.done, part.heard_by) for part in found] == [
        ("one", False, "unknown"),
        ("two", False, "sent"),
        ("three", True, "sent"),
    ]


async def test_a_watch_that_is_stopped_returns_what_is_known(js: JetStream, client: Client) -> None:
    await put_report(js, "s", "r", 1, "delivering")
    watch = CutWatch(client.reads, "s", timeout_s=LONG_S)
    running = asyncio.create_task(watch.run())
    await until_read(watch)
    watch.stop()
    watch.stop()
    async with asyncio.timeout(SOON_S):
        cut = await running
    assert [part.done for part in cut.heard] == [False]
    watch.stop()
    message = await js.get(NAMES.sessions_stream, cut.cancel_seq)
    assert message is not None and message.subject == NAMES.session_cancel("s")


async def test_what_cannot_be_read_is_an_error_that_says_that_the_cancel_is_stored(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    await js.api(f"STREAM.DELETE.{NAMES.heard_stream}")
    async with asyncio.timeout(SOON_S):
        with pytest.raises(HeardUnreadable, match=r"the cancel is stored at sequence \d+, but .* could not be read"):
            await client.cancel("s", wait=True, timeout_s=1.0)
        assert await js.last(NAMES.sessions_stream, NAMES.session_cancel("s")) is not None
        waiting = asyncio.create_task(client.cancel("s", wait=True, timeout_s=LONG_S))
        await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
        assert await waiting == ()  # it tries again


async def test_a_cancel_that_is_refused_is_refused_as_without_waiting(js: JetStream, client: Client) -> None:
    for session, request in (("", None), ("a\0", None), ("s", ""), ("s", "x" * 257)):
        with pytest.raises(InvalidRequest):
            await client.cancel(session, request, wait=True)
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout_s"):
            await client.cancel("s", wait=True, timeout_s=seconds)
    assert await js.last(NAMES.sessions_stream, NAMES.session_cancel("s")) is None
    with pytest.raises(Overloaded):
        for _ in range(100):
            await client.cancel("full", wait=False)
    with pytest.raises(Overloaded):
        await client.cancel("full", wait=True, timeout_s=LONG_S)


async def test_a_record_by_its_ids(js: JetStream, client: Client) -> None:
    assert await client.heard("s", "r") is None
    await put_record(js, a_record("s", "r", 1, done=False))
    assert await client.heard("s", "r") == a_record("s", "r", 1, done=False)
    await put_record(js, a_record("s", "r", 1, cancel_seq=3))
    await put_record(js, a_record("방 1/2", "요청.1", 2))
    assert await client.heard("s", "r") == a_record("s", "r", 1, cancel_seq=3)
    assert await client.heard("방 1/2", "요청.1") == a_record("방 1/2", "요청.1", 2)
    await js.store(NAMES.put_heard("s", "r"), b"no record")
    assert await client.heard("s", "r") is None
    with pytest.raises(InvalidRequest):
        await client.heard("s", "")


async def test_the_blocking_client_has_both(nats_server: NatsServer, js: JetStream) -> None:
    await put_report(js, "s", "r", 1, "delivered")
    await put_record(js, a_record("s", "r", 1, done=False))
    with BlockingClient(nats_server.url) as blocking:
        assert await asyncio.to_thread(blocking.heard, "s", "r") == a_record("s", "r", 1, done=False)
        async with at_each_cancel(js, lambda cancel: put_record(js, a_record("s", "r", 1, cancel_seq=cancel))):
            found = await asyncio.to_thread(lambda: blocking.cancel("s", wait=True, timeout_s=LONG_S))
        assert [record.done for record in found] == [True]
        assert await asyncio.to_thread(lambda: blocking.cancel("s")) > found[0].request_seq
        with pytest.raises(ValueError, match="timeout_s"):
            await asyncio.to_thread(lambda: blocking.cancel("s", wait=True, timeout_s=-1))
        await asyncio.to_thread(blocking.close)
