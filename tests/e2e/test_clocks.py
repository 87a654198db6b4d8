"""Hosts whose clocks are a minute off: ages are judged by the clock of the NATS server alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.support.clocks import shifted
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.services import Stack
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SHORT = "오늘은 날씨가 아주 맑습니다."
LONG = "The quick brown fox jumps over the lazy dog, and the dog does not move at all. " * 4
TOLERANCE_S = 0.4
EXPIRY_GRACE_S = 5.0
SKEWED = "the clock of this host differs from that of NATS"


@pytest.fixture(params=[60, -60], ids=["synth ahead, bridges behind", "synth behind, bridges ahead"])
def shifts(request: pytest.FixtureRequest) -> dict[str, float]:
    """Seconds by which the clock of each service is ahead."""
    return {
        "synth": request.param,
        "ws_bridge": -request.param,
        "http_bridge": -request.param,
        "gateway": request.param,
    }


@pytest_asyncio.fixture
async def node(nats_server: NatsServer, tmp_path: Path, logs: Logs, shifts: dict[str, float]) -> AsyncIterator[Stack]:
    """A node whose OraServer and NATS have the right time, its other services not. Its engine is slow."""
    stack = Stack(nats_server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=256 << 20, TTS_PHRASE_CACHE=False)
    try:
        await stack.start("oraserver")
        await stack.start("synth", SYNTH_SLOTS=1, TTS_ENGINE_RTF=0.3, **shifted(shifts["synth"]))
        for service in ("ws_bridge", "http_bridge", "gateway"):
            await stack.start(service, **shifted(shifts[service]))
        yield stack
    finally:
        stack.kill()


@pytest_asyncio.fixture
async def client(node: Stack) -> AsyncIterator[Client]:
    async with Client(node.nats_server.url) as client:
        yield client


async def ask(client: Client, request: str, **options: object) -> tuple[float, float]:
    """Request speech; returns two unix times of this host, between which the request was stored."""
    before = time.time()
    text = str(options.pop("text", SHORT))
    stored = await client.say(
        text, session_id=request, phone_id="p", request_id=request, fire_and_forget=True, **options
    )
    assert isinstance(stored, Acceptance)
    return before, time.time()


async def test_requests_are_spoken_and_timed_rightly(node: Stack, client: Client, shifts: dict[str, float]) -> None:
    for request, use_websocket in (("ws", True), ("http", False)):
        before, after = await ask(client, request, use_websocket=use_websocket, ttlSeconds=10)
        report = await client.wait(request, request, 30)
        assert report.status == "delivered", report
        received = utterance_of(await node.received(), request)
        assert received is not None and report.first_audio_ms is not None and report.transfer_ms is not None
        first_audio_s = report.first_audio_ms / 1000
        arrived_at = received["firstChunkAt"]
        assert arrived_at - after - TOLERANCE_S <= first_audio_s <= arrived_at - before + TOLERANCE_S
        assert first_audio_s > 0
        assert 0 <= report.transfer_ms / 1000 <= time.time() - before
    for name in ("orastream_synth_queue_seconds_sum", "orastream_synth_first_audio_seconds_sum"):
        assert 0 < await node.only("synth").metric(name) < 2 * (time.time() - before) + TOLERANCE_S
    for service, shift_s in shifts.items():
        process = node.only(service)
        assert await process.metric("orastream_nats_clock_skew_seconds") == pytest.approx(shift_s, abs=0.2)
        assert process.text().count(SKEWED) == 1, process.text()
    asked_at = time.time()
    _, body = await node.only("gateway").get("/api/node")
    assert json.loads(body)["asOf"] == pytest.approx(asked_at, abs=1 + TOLERANCE_S)


async def test_a_barge_in_is_timed_rightly(node: Stack, client: Client) -> None:
    await ask(client, "r", text=LONG, use_websocket=True, ttlSeconds=10)
    async for message in client.audio("r", "r", await sequence_of(client, "r")):
        if getattr(message, "index", 0) >= 1:
            break
    began = time.monotonic()
    await client.cancel("r")
    report = await client.wait("r", "r", 20)
    assert report.status == "cancelled", report
    took_s = time.monotonic() - began
    name = "orastream_ws_bridge_cancel_seconds"
    assert await node.only("ws_bridge").metric(f"{name}_count") == 1
    assert 0 < await node.only("ws_bridge").metric(f"{name}_sum") < took_s + TOLERANCE_S


async def sequence_of(client: Client, request: str) -> int:
    while (report := await client.report(request, request)) is None:
        await asyncio.sleep(0.02)
    return report.request_seq


async def test_synth_expires_what_waited_longer_than_its_ttl(node: Stack, client: Client) -> None:
    """The only slot is busy for longer than one ttl, and for less than the other."""
    busy_s = 3.0
    await ask(client, "busy", text=LONG * 2, transport="none", ttlSeconds=10)
    before, _ = await ask(client, "late", transport="none", ttlSeconds=1)
    await ask(client, "patient", transport="none", ttlSeconds=60)
    late = await client.wait("late", "late", 60)
    assert late.status == "expired" and late.error is not None
    assert time.time() - before > 1
    reports: list[Report] = [await client.wait(name, name, 60) for name in ("busy", "patient")]
    assert [report.status for report in reports] == ["delivered", "delivered"]
    assert time.time() - before > busy_s, "the slot was not busy: make the text longer"


async def test_a_bridge_expires_what_nobody_claims_when_its_ttl_is_over(node: Stack, client: Client) -> None:
    await node.only("synth").stop()
    ttl_s = 2
    before, _ = await ask(client, "late", use_websocket=True, ttlSeconds=ttl_s)
    late = await client.wait("late", "late", 30)
    assert late.status == "expired", late
    assert ttl_s + EXPIRY_GRACE_S - TOLERANCE_S <= time.time() - before <= ttl_s + EXPIRY_GRACE_S + 2
