"""`GET /api/reports/{sessionId}/{requestId}/events`. The test writes reports and progress as a bridge does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from orastream.contract.codec import Map
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from tests.integration.services.gateway.routes.test_live import Events, error_of, say
from tests.support.ending import stored_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.services import ServiceProcess, Stack

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def following(http: aiohttp.ClientSession, url: str, path: str = "s1/r1") -> AsyncIterator[Events]:
    async with http.get(URL(f"{url}/api/reports/{path}/events", encoded=True)) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        yield Events(answer)


async def publish(js: JetStream, sequence: int, played_ms: int, *, done: bool = False) -> Map:
    progress = DeliveryProgress(
        request_id="r1",
        session_id="s1",
        request_seq=sequence,
        sent_ms=900,
        acked_ms=800,
        played_ms=played_ms,
        played_by="sent",
        done=done,
    )
    await js.broker.publish(NAMES.progress("s1", "r1"), progress.encode("msgpack"))
    return progress.to_map()


async def test_reports_and_progress_are_sent_until_the_play_ends(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    stored, reports = await stored_request(js, "s1", "r1"), ReportStore(js)
    await reports.write(stored, stored.report("delivering", transport="websocket"), 0)
    async with following(http, gateway.url) as events:
        assert await events.next() == ("hello", {"heartbeatSeconds": 5.0})
        assert await events.report() == ("r1", "delivering")
        expected = await publish(js, sent.sequence, 100)
        assert await events.next() == ("progress", expected)
        final = stored.report("delivered", transport="websocket").with_(audio_seconds=0.9)
        assert (await reports.write(stored, final, None)).state.report.final
        assert await events.report() == ("r1", "delivered")
        expected = await publish(js, sent.sequence, 900, done=True)
        assert await events.next() == ("progress", expected)
        assert await events.next() == ("end", {"played": True})
        assert await events.answer.content.read() == b""


async def test_it_ends_at_the_final_report_of_what_no_bridge_plays(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    async with following(http, gateway.url) as events:
        assert (await events.next())[0] == "hello"
        await sent.final("cancelled")
        assert await events.report() == ("r1", "cancelled")
        assert await events.next() == ("end", {"played": False})
    async with following(http, gateway.url) as events:  # asked for later
        assert [(await events.next())[0] for _ in range(3)] == ["hello", "report", "end"]


async def test_a_slow_reader_gets_the_newest_progress(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    """Many messages that come at once are one event."""
    sent = await say(http, gateway, js)
    stored = await stored_request(js, "s1", "r1")
    await ReportStore(js).write(stored, stored.report("delivering", transport="websocket"), 0)
    async with following(http, gateway.url) as events:
        assert await events.report() == ("r1", "delivering")  # it has subscribed, too
        for played_ms in range(1_000):
            expected = await publish(js, sent.sequence, played_ms)
        count = 1
        while (await events.next()) != ("progress", expected):
            count += 1
        assert count < 1_000, "not each message is an event"


async def test_ids_and_unknown_requests(http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream) -> None:
    assert await error_of(http, f"{gateway.url}/api/reports/s1/unknown/events") == (404, "not_found")
    assert await error_of(http, f"{gateway.url}/api/reports/s1/%00/events") == (422, "invalid_request")
    # An id with a slash: these ask for a report.
    assert await error_of(http, f"{gateway.url}/api/reports/s1/r1%2Fevents") == (404, "not_found")
    await say(http, gateway, js, "a/events")
    async with http.get(URL(f"{gateway.url}/api/reports/s1/a%2Fevents", encoded=True)) as answer:
        assert (await answer.json())["status"] == "queued"
    async with following(http, gateway.url, "s1/a%2Fevents") as events:
        assert (await events.next())[0] == "hello"


async def test_a_lost_node_is_shown_and_signs_of_life_come(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream, nats_server: NatsServer
) -> None:
    await say(http, gateway, js)
    async with following(http, gateway.url) as events:
        assert (await events.next())[0] == "hello"
        assert await events.next() == ("alive", {})
        nats_server.kill()
        lost = ("state", {"available": False})
        while (came := await events.next()) != lost:
            assert came == ("alive", {})
        await nats_server.start()
        while (came := await events.next()) != ("state", {"available": True}):
            assert came == ("alive", {})


async def test_number_of_readers_is_limited_and_readers_do_not_delay_the_shutdown(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    await say(http, gateway, js)
    async with contextlib.AsyncExitStack() as open_:
        many = await open_.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        readers = [await open_.enter_async_context(following(many, gateway.url)) for _ in range(64)]
        for reader in readers:
            assert (await reader.next())[0] == "hello"
        assert await error_of(http, f"{gateway.url}/api/reports/s1/r1/events") == (503, "overloaded")
        assert await gateway.stop() == 0
        assert [await reader.answer.content.read() for reader in readers] == [b""] * 64
    assert "Traceback" not in gateway.text()


async def test_it_asks_for_a_key(stack: Stack, js: JetStream, http: aiohttp.ClientSession) -> None:
    (guarded,) = await stack.start("gateway", GATEWAY_API_KEYS="one")
    assert await error_of(http, f"{guarded.url}/api/reports/s1/r1/events") == (401, "unauthorized")
    async with asyncio.timeout(10):
        async with http.get(
            f"{guarded.url}/api/reports/s1/r1/events", headers={"Authorization": "Bearer one"}
        ) as answer:
            assert answer.status == 404
