"""In an overload callers learn early that they would wait too long, and what cannot be spoken in time ends at once."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Self

import aiohttp
import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.load_watch import LoadWatch
from orastream.contract.errors import Overloaded
from orastream.contract.load import SynthLoad
from orastream.jetstream.api import JetStream
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다."
"""About 4 s of audio: 2 s of work with RTF 0.5."""
LIMIT_S = 1.5


@pytest.fixture
async def port(nats_server: NatsServer) -> AsyncIterator[int]:
    """The port of the gateway of a node whose only slot works for 0.5 s for each second of audio."""
    async with running_node(
        nats_server.url,
        "http://127.0.0.1:9",
        ["synth", "gateway"],
        tts_engine_rtf=0.5,
        tts_max_backlog_seconds=LIMIT_S,
    ) as processes:
        yield processes["gateway"].ports["gateway_port"]


async def say(client: Client, request: str, **options: object) -> None:
    accepted = await client.say(
        TEXT, session_id=request, phone_id="p", request_id=request, fire_and_forget=True, transport="none", **options
    )
    assert isinstance(accepted, Acceptance)


async def fill(client: Client, count: int) -> None:
    """Have one request spoken, so that synth knows its pace; then store `count` more."""
    await say(client, "first")
    assert (await client.wait("first", "first", 30)).status == "delivered"
    for number in range(count):
        await say(client, f"fill{number}")


class HeardLoad:
    """The load of which a client's connection has heard since this began."""

    def __init__(self, client: Client) -> None:
        self._watch = LoadWatch(client.broker, client.names.load, math.inf)

    async def __aenter__(self) -> Self:
        await self._watch.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watch.close()

    async def until_wait(self, fits: Callable[[float], bool]) -> None:
        """Return when it means a wait that fits."""

        async def heard() -> bool:
            wait_s = self._watch.load.wait_s(time.monotonic())
            return wait_s is not None and fits(wait_s)

        await until(heard, "the load has changed")


async def test_gateway_speak_and_client_refuse_before_storing_while_others_may_still_store(
    nats_server: NatsServer, client: Client, port: int
) -> None:
    fields = {"text": TEXT, "phoneId": "p", "transport": "none", "fire_and_forget": True}
    async with (
        Client(nats_server.url, max_backlog_s=LIMIT_S) as careful,
        HeardLoad(careful) as heard,
        aiohttp.ClientSession() as http,
    ):
        await fill(client, 6)
        await heard.until_wait(lambda wait_s: wait_s > 2 * LIMIT_S)
        with pytest.raises(Overloaded, match=f"all synths are busy.*the limit of {LIMIT_S:g} s") as refusal:
            await say(careful, "careful")
        assert 1 <= refusal.value.retry_after_s <= 60
        async with http.post(
            f"http://127.0.0.1:{port}/api/convert-tts/", json={**fields, "sessionId": "by-http"}
        ) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        speech = {"model": "espeak", "input": TEXT, "voice": "ko"}
        async with http.post(f"http://127.0.0.1:{port}/v1/audio/speech", json=speech) as answer:
            assert answer.status == 429, await answer.text()
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        async with nats_server.connect() as connection:
            message = json.dumps({**fields, "sessionId": "by-nats"}).encode()
            reply = json.loads((await connection.request("tts.speak", message, timeout=5)).data)
        assert (reply["status"], reply["requestSeq"], reply["error"]["code"]) == ("failed", 0, "overloaded")
        for session in ("careful", "by-http", "by-nats"):
            assert await client.report(session, session) is None
        await say(client, "no-limit")  # a client without a limit
        for number in range(6):
            await client.cancel(f"fill{number}")
        await client.cancel("no-limit")

        async def accepted() -> bool:
            try:
                await say(careful, "careful")
            except Overloaded:
                return False
            return True

        await until(accepted, "the client accepts again", timeout_s=20)


async def test_request_that_cannot_be_claimed_in_time_expires_at_once(client: Client, port: int) -> None:
    """With 16 s of work ahead, a ttl of 2 s ends now, not after 2 s + 5 s; a ttl of 60 s stays.

    More wait than a synth keeps for its slot: the impatient one is among those that it shares with other synths.
    """
    await fill(client, 8)
    began = asyncio.get_running_loop().time()
    await say(client, "impatient", ttlSeconds=2)
    await say(client, "patient", ttlSeconds=60)
    report = await client.wait("impatient", "impatient", 20)
    took_s = asyncio.get_running_loop().time() - began
    assert report.status == "expired" and report.error is not None and report.error.code == "expired"
    assert "s of work are ahead" in report.error.message, report
    assert took_s < 3, f"it was told after {took_s:.1f} s"
    patient = await client.report("patient", "patient")
    assert patient is not None and patient.status in ("queued", "synthesizing")
    for number in range(8):
        await client.cancel(f"fill{number}")
    assert (await client.wait("patient", "patient", 30)).status == "delivered"


@pytest.mark.parametrize("supersede", [False, True], ids=["cancelled", "superseded"])
async def test_cancelled_requests_do_not_count(
    nats_server: NatsServer, client: Client, port: int, supersede: bool
) -> None:
    """One session holds the slot. Another one has cancelled what it had asked for: its next request is not refused."""
    await say(client, "first")
    assert (await client.wait("first", "first", 30)).status == "delivered"
    await client.say(TEXT * 3, session_id="long", phone_id="p", request_id="long", transport="none")
    for number in range(8):
        await client.say(TEXT, session_id="b", phone_id="p", request_id=f"b{number}", transport="none")
    async with Client(nats_server.url, max_backlog_s=9.0) as careful, HeardLoad(careful) as heard:
        await heard.until_wait(lambda wait_s: wait_s > 9.0)
        with pytest.raises(Overloaded):
            await say(careful, "refused")
        if supersede:
            await client.say("네.", session_id="b", phone_id="p", request_id="new", transport="none", supersede=True)
        else:
            await client.cancel("b")
        await heard.until_wait(lambda wait_s: wait_s < 9.0)
        await say(careful, "accepted")
    await client.cancel("long")
    assert (await client.wait("accepted", "accepted", 30)).status == "delivered"
    assert (await client.wait("b", "b7", 30)).status == "cancelled"


async def test_claimed_request_does_not_expire_early(nats_server: NatsServer, client: Client, port: int) -> None:
    """A synth that has died had claimed it; its ttl is over. It keeps its place among those that wait."""
    await fill(client, 3)
    await say(client, "claimed", ttlSeconds=1)
    queued = await client.report("claimed", "claimed")
    assert queued is not None and queued.status == "queued"
    claim = queued.with_(status="synthesizing", transport="none")
    await JetStream(client.broker).store("tts.put.report.claimed.claimed", claim.encode("json"))
    await asyncio.sleep(3.5)
    report = await client.report("claimed", "claimed")
    assert report is not None and report.status == "synthesizing", report
    async with nats_server.connect() as connection:
        consumer = await connection.jetstream().consumer_info("TTS_SESSIONS", "synth")
    assert consumer.num_redelivered == 0, "it was released again and again instead of waiting for its turn"
    for number in range(3):
        await client.cancel(f"fill{number}")
    assert (await client.wait("claimed", "claimed", 30)).status == "delivered"


async def test_huge_ttl_ends_no_synth(nats_server: NatsServer, client: Client, port: int) -> None:
    """A request with a ttl of 401 digits waits in the queue of a busy synth."""
    await fill(client, 4)
    async with nats_server.connect() as connection:
        huge = b'{"text":"a","sessionId":"huge","phoneId":"p","requestId":"huge","ttlSeconds":1' + b"0" * 400 + b"}"
        await connection.request("tts.request.huge", huge, timeout=5)
    await asyncio.sleep(2.5)
    for number in range(4):
        await client.cancel(f"fill{number}")
    report = await client.wait("huge", "huge", 20)
    assert report.error is not None and report.error.code == "invalid_request"
    await say(client, "after")
    assert (await client.wait("after", "after", 20)).status == "delivered"


async def test_hostile_loads_and_a_synth_that_ends_change_nothing(
    nats_server: NatsServer, client: Client, port: int
) -> None:
    """The only slot is busy, for some seconds: fewer than the limit, unless the loads of others count."""
    async with (
        Client(nats_server.url, max_backlog_s=100.0) as careful,
        HeardLoad(careful) as heard,
        nats_server.connect() as connection,
    ):
        await fill(client, 3)
        for payload in (b"", b"{}", b"\xff" * 100, b'{"synth":"x","slots":1,"free":0,"workSeconds":1e308}'):
            await connection.publish(NAMES.load, payload)
        await connection.publish(NAMES.load, SynthLoad("x", 4, 0, 10_000.0, 1.0).encode())
        await connection.flush()
        await heard.until_wait(lambda wait_s: wait_s > 100.0)
        with pytest.raises(Overloaded):
            await say(careful, "refused")
        await connection.publish(NAMES.load, SynthLoad("x", 0, 0, 0.0, 0.0).encode())
        await connection.flush()
        await heard.until_wait(lambda wait_s: wait_s < 100.0)
        await say(careful, "ok")
    for number in range(3):
        await client.cancel(f"fill{number}")
    assert (await client.wait("ok", "ok", 20)).status == "delivered"
