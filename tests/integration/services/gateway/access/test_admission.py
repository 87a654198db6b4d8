"""Names of callers and their limits, on gateway processes with a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from orastream.contract.codec import Map
from orastream.jetstream.api import JetStream
from tests.support.ending import end, stored_request
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack
from tests.support.spans import collecting

pytestmark = pytest.mark.integration

SHOP, BOT = "shop-secret-0123456789", "Ym90LXNlY3JldA=="
KEYS = f"shop={SHOP},{BOT}"


class Caller:
    """Calls one gateway with a key, or without."""

    def __init__(self, http: aiohttp.ClientSession, process: ServiceProcess, key: str | None = None) -> None:
        self._http, self._url, self._key = http, process.url, key
        self._made = 0

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Map, dict[str, str]]:
        headers = {"X-API-Key": self._key} if self._key else {}
        async with self._http.request(method, self._url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.json(), dict(answer.headers)

    async def say(self, text: str = "hello", *, session: str | None = None, sync: bool = False) -> tuple[int, Map]:
        self._made += 1
        session = session or f"{id(self)}-{self._made}"
        body = {"text": text, "sessionId": session, "phoneId": "p1", "requestId": "r1", "fire_and_forget": not sync}
        status, answered, headers = await self("POST", "/api/convert-tts/", json.dumps(body))
        if status == 429:
            assert int(headers["Retry-After"]) >= 1
            assert f"try again in {headers['Retry-After']} s" in answered["error"]["message"]
            assert (answered["error"]["code"], answered["error"]["retryable"]) == ("rate_limited", True)
        return status, answered


@pytest.fixture
async def early_in_a_window() -> None:
    """A window of a minute does not end during the test: each count would then weigh a little less."""
    left_s = 60 - time.time() % 60
    if left_s < 15:
        await asyncio.sleep(left_s)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as http:
        yield http


@pytest.mark.usefixtures("early_in_a_window")
async def test_requests_a_minute_are_limited_for_each_key_and_exempt_paths_are_not(
    stack: Stack, js: JetStream, http: aiohttp.ClientSession
) -> None:
    (process,) = await stack.start("gateway", GATEWAY_API_KEYS=KEYS, GATEWAY_REQUESTS_PER_MINUTE=5)
    shop, bot = Caller(http, process, SHOP), Caller(http, process, BOT)
    assert [(await shop.say())[0] for _ in range(3)] == [202] * 3
    assert (await shop("GET", "/api/voices"))[0] == 200
    assert (await shop("POST", "/api/convert-tts/", b"{"))[0] == 422  # an unreadable request counts, too
    status, body = await shop.say()
    assert status == 429
    assert "GATEWAY_REQUESTS_PER_MINUTE: 5 requests a minute of the caller shop" in body["error"]["message"]
    for method, path in (("GET", "/api/voices"), ("GET", "/api/reports/s/r"), ("POST", "/api/cancel/s")):
        assert (await shop(method, path))[0] == 429
    for path, send in (("/v1/models", None), ("/v1/audio/speech", '{"model":"tts-1","input":"a","voice":"alloy"}')):
        status, body, headers = await shop("POST" if send else "GET", path, send)
        assert (status, body["error"]["type"], body["error"]["code"]) == (429, "rate_limit_error", "rate_limited")
        assert int(headers["Retry-After"]) >= 1
    for _ in range(20):  # the console asks for it every 2 s
        assert (await shop("GET", "/api/node"))[0] == 200
    for path in ("/healthz", "/readyz", "/metrics", "/console"):
        assert (await process.get(path))[0] == 200
    assert (await bot.say())[0] == 202, "another key has its own count"
    assert (await Caller(http, process, "shop").say())[0] == 401, "the name is not a key"
    assert await process.metric("orastream_gateway_refusals_total", reason="requests_per_minute") == 6
    assert await process.metric("orastream_gateway_requests_total", route="convert-tts", outcome="rate_limited") == 1


@pytest.mark.usefixtures("early_in_a_window")
async def test_characters_a_minute_are_limited_and_refusals_count_nothing(
    stack: Stack, js: JetStream, http: aiohttp.ClientSession
) -> None:
    (process,) = await stack.start(
        "gateway", GATEWAY_API_KEYS=KEYS, GATEWAY_CHARACTERS_PER_MINUTE=100, GATEWAY_REQUESTS_PER_MINUTE=4
    )
    shop = Caller(http, process, SHOP)
    status, body = await shop.say("가" * 101)
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "invalid_request", "text")

    async def speech(text: str) -> tuple[int, Map, dict[str, str]]:
        body = {"model": "tts-1", "input": text, "voice": "alloy"}
        return await shop("POST", "/v1/audio/speech", json.dumps(body))

    status, body, _ = await speech("가" * 101)
    assert (status, body["error"]["param"]) == (400, "input")
    assert (await shop.say("가" * 60))[0] == 202, "a character is a code point, not a byte"
    for _ in range(5):
        status, body = await shop.say("가" * 41)
        assert status == 429 and "GATEWAY_CHARACTERS_PER_MINUTE: 100 characters" in body["error"]["message"]
    status, body, headers = await speech("가" * 41)
    assert (status, body["error"]["code"], int(headers["Retry-After"]) >= 1) == (429, "rate_limited", True)
    assert (await shop.say("가" * 40))[0] == 202
    assert (await shop("GET", "/api/voices"))[0] == 200  # spoken characters do not count here
    assert (await shop("GET", "/api/voices"))[0] == 200
    assert (await shop("GET", "/api/voices"))[0] == 429
    assert await process.metric("orastream_gateway_refusals_total", reason="characters_per_minute") == 8
    last = await js.last(NAMES.sessions_stream, NAMES.session_request("*"))
    assert last is not None and "가" * 41 not in last.data.decode()


async def test_requests_at_the_same_time_are_limited_until_their_answers_end(
    stack: Stack, js: JetStream, http: aiohttp.ClientSession
) -> None:
    """A sync request that waits and a reader of events take the two places; each is free when its answer has ended."""
    (process,) = await stack.start("gateway", GATEWAY_API_KEYS=KEYS, GATEWAY_CONCURRENT=2)
    shop, bot = Caller(http, process, SHOP), Caller(http, process, BOT)
    waiting = asyncio.create_task(shop.say(session="waits", sync=True))
    events = await http.get(f"{process.url}/api/events", headers={"X-API-Key": SHOP})
    assert events.status == 200
    stored: list[Any] = []

    async def both() -> bool:
        status, _, _ = await shop("GET", "/api/node")
        with contextlib.suppress(AssertionError):
            stored.append(await stored_request(js, "waits"))
        return status == 429 and bool(stored)

    await until(both, "both places are taken")
    status, body = await shop.say()
    assert status == 429 and "GATEWAY_CONCURRENT: 2 requests of the caller shop" in body["error"]["message"]
    assert (await bot.say())[0] == 202
    assert (await process.get("/healthz"))[0] == 200

    events.close()  # the reader leaves in the middle of its answer

    async def free() -> bool:
        return (await shop("GET", "/api/node"))[0] == 200

    await until(free, "the reader's place is free")
    await end(js, stored[-1], "delivered")
    assert (await waiting)[0] == 200
    async with asyncio.TaskGroup() as tasks:
        both_again = [tasks.create_task(shop("GET", "/api/node")) for _ in range(2)]
    assert [task.result()[0] for task in both_again] == [200, 200]


@pytest.mark.usefixtures("early_in_a_window")
async def test_without_keys_addresses_are_counted(stack: Stack, js: JetStream) -> None:
    (process,) = await stack.start("gateway", GATEWAY_REQUESTS_PER_MINUTE=2)
    for source in ("127.0.0.1", "127.0.0.2"):
        connector = aiohttp.TCPConnector(local_addr=(source, 0))
        async with aiohttp.ClientSession(connector=connector) as http:
            caller = Caller(http, process)
            assert [(await caller.say())[0] for _ in range(3)] == [202, 202, 429]
            _, body, _ = await caller("GET", "/api/voices")
            assert f"the address {source} " in body["error"]["message"]


async def test_callers_name_is_in_the_span_and_a_doubtful_entry_in_the_log(
    stack: Stack, js: JetStream, http: aiohttp.ClientSession
) -> None:
    async with collecting() as collector:
        (process,) = await stack.start(
            "gateway",
            GATEWAY_API_KEYS=f"{KEYS},long-secret=1",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY=100,
        )
        keys = (SHOP, f"shop={SHOP}", BOT, "long-secret=1", "1")
        assert [(await Caller(http, process, key).say())[0] for key in keys] == [202] * 4 + [401]

        def names() -> list[Any]:
            posts = [span for span in collector.seen if span.name == "POST /api/convert-tts/"]
            return [span.attributes.get("orastream.caller") for span in posts]

        async def five() -> bool:
            return len(names()) == 5

        await until(five, "all spans have arrived", timeout_s=30)
        assert sorted(map(str, names())) == ["None", "key-2", "key-3", "shop", "shop"]
    assert '"entry": "key-3"' in process.text()
    assert "secret" not in process.text()
