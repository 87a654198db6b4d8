"""WEBSOCKET_END_FRAMES and WEBSOCKET_METADATA: an utterance that ends early says so, and audio says its rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.service.lifecycle import Process
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from services.oraserver.listing import Received
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

LONG = "이 문장은 끝까지 들으면 몇 초가 걸리는 긴 문장입니다. " * 4
SHORT = "네."
WAIT_S = 30.0


@dataclass
class Call:
    """A session `s` of a node in this process, with its reference OraServer."""

    client: Client
    oraserver: OraServer
    bridge: Process

    async def say(self, request: str, text: str = LONG, **options: Any) -> Report:
        """Speak the text, and return the final report."""
        report = await self.client.say(
            text, session_id="s", phone_id="p", request_id=request, fire_and_forget=False, wait_s=WAIT_S, **options
        )
        assert isinstance(report, Report)
        return report

    async def begin(self, request: str, text: str = LONG) -> None:
        """Have the text spoken, and return when OraServer has some of its audio."""
        await self.client.say(text, session_id="s", phone_id="p", request_id=request, fire_and_forget=True)

        async def begun() -> bool:
            return any(one.request_id == request for one in (await self.oraserver.received("s")).utterances)

        await until(begun, f"{request} has begun", timeout_s=WAIT_S)

    async def final(self, request: str) -> str:
        return (await self.client.wait("s", request, WAIT_S)).status

    async def got(self, request: str) -> Received:
        """What OraServer has of the request."""
        listing = await self.oraserver.received("s")
        assert listing.violations == 0, listing
        (found,) = (one for one in listing.utterances if one.request_id == request)
        return found

    async def ended(self, request: str, status: str) -> Received:
        """Wait for the end frame."""

        async def came() -> bool:
            return (await self.got(request)).ended == status

        await until(came, f"{request} has ended as {status}", timeout_s=WAIT_S)
        return await self.got(request)


@asynccontextmanager
async def call(
    js: JetStream, folder: Path, *, frames: bool = True, nats_url: str | None = None, **settings: Any
) -> AsyncIterator[Call]:
    """`nats_url`: another way to NATS for the node than for the client."""
    given = {"websocket_end_frames": frames, **settings}
    async with serve(OraServer(folder / "oraserver")) as oraserver:
        async with running_node(nats_url or js.broker.url, oraserver.url, **given) as processes:
            yield Call(Client(js.broker), oraserver, processes["ws_bridge"])


async def test_a_cancelled_utterance_ends_over_the_same_connection(js: JetStream, tmp_path: Path) -> None:
    async with call(js, tmp_path, tts_engine_rtf=0.5) as to:
        await to.begin("cut")
        await to.client.cancel("s")
        assert await to.final("cut") == "cancelled"
        assert not (await to.ended("cut", "cancelled")).complete
        assert (await to.say("next", SHORT)).status == "delivered"
        assert (await to.got("next")).ended is None
        assert (await to.oraserver.received("s")).connections.total == 1


async def test_the_end_frame_overtakes_audio_that_a_slow_receiver_has_not_read(js: JetStream, tmp_path: Path) -> None:
    async with call(js, tmp_path) as to:
        to.oraserver.misbehaviour.set(Faults(read_delay_ms=300))
        await to.begin("cut")
        await to.client.cancel("s")
        assert await to.final("cut") == "cancelled"
        assert not (await to.ended("cut", "cancelled")).complete
        to.oraserver.misbehaviour.set(Faults())
        assert (await to.say("next", SHORT)).status == "delivered"
        assert (await to.got("next")).ended is None
        assert (await to.oraserver.received("s")).connections.total == 2, "its connection was reset"


@pytest.mark.parametrize("connection", ["session", "utterance"])
async def test_a_cancel_ends_the_delivered_utterances_that_play(js: JetStream, tmp_path: Path, connection: str) -> None:
    async with call(js, tmp_path, websocket_connection=connection) as to:
        for request in ("first", "second"):
            assert (await to.say(request)).status == "delivered"
            assert (await to.got(request)).ended is None
        await to.client.cancel("s")
        for request in ("first", "second"):
            assert (await to.ended(request, "cancelled")).complete
            assert await to.final(request) == "delivered", "the report stays"
        assert (await to.say("next", SHORT)).status == "delivered"
        assert (await to.got("next")).ended is None


async def test_a_cancel_ends_the_one_that_plays_and_the_one_that_is_being_delivered(
    js: JetStream, tmp_path: Path
) -> None:
    async with call(js, tmp_path, tts_engine_rtf=0.3) as to:
        assert (await to.say("plays")).status == "delivered"
        await to.begin("cut")
        await to.client.cancel("s")
        assert await to.final("cut") == "cancelled"
        assert (await to.ended("plays", "cancelled")).complete
        assert not (await to.ended("cut", "cancelled")).complete


async def test_a_cancel_after_the_play_time_sends_nothing(js: JetStream, tmp_path: Path) -> None:
    async with call(js, tmp_path) as to:
        report = await to.say("over", SHORT)
        await asyncio.sleep(report.audio_seconds)  # it plays: this time must pass
        await to.client.cancel("s")
        assert (await to.say("next", SHORT)).status == "delivered"
        assert (await to.got("over")).ended is None


async def test_a_text_that_fails_after_its_first_sentence_ends_as_failed(js: JetStream, tmp_path: Path) -> None:
    async with call(js, tmp_path) as to:
        body = {"text": "첫 문장입니다. 둘째 문장은", "sessionId": "s", "phoneId": "p", "requestId": "stalled"}
        body |= {"textStream": True, "idleSeconds": 1}
        await js.broker.request("tts.request.s", json.dumps(body).encode(), timeout_s=5)
        report = await to.client.wait("s", "stalled", WAIT_S)
        assert report.error is not None and report.error.code == "text_stalled"
        assert not (await to.ended("stalled", "failed")).complete
        assert (await to.say("next", SHORT)).status == "delivered"


async def test_a_session_without_a_connection_ends_what_plays(js: JetStream, tmp_path: Path) -> None:
    """It is kept, although it is idle for longer than its connection: the cancel wakes it, and it connects."""
    async with call(js, tmp_path, websocket_idle_seconds=0.5) as to:
        report = await to.say("plays", LONG * 4)

        async def closed() -> bool:
            return (await to.oraserver.received("s")).connections.open == 0

        await until(closed, "the idle connection is closed", timeout_s=WAIT_S)
        assert report.audio_seconds > 20, "it still plays"
        await to.client.cancel("s")
        assert (await to.ended("plays", "cancelled")).complete
        assert (await to.oraserver.received("s")).connections.total == 2


@pytest.mark.parametrize("plays", [True, False])
async def test_a_cancel_while_the_node_has_lost_nats_ends_it_after_the_reconnect(
    js: JetStream, tmp_path: Path, plays: bool
) -> None:
    """The cancel comes before the bridge has checked that it still owns the session, and may write nothing yet."""
    proxy = TcpProxy(int(js.broker.url.rpartition(":")[2]))
    await proxy.start()
    try:
        url = f"nats://127.0.0.1:{proxy.port}"
        async with call(js, tmp_path, nats_url=url, tts_engine_rtf=0.05 if plays else 0.5) as to:
            if plays:
                assert (await to.say("it", LONG * 2)).status == "delivered"
            else:
                await to.begin("it")
            proxy.cut()
            await to.client.cancel("s")
            proxy.heal()
            assert (await to.ended("it", "cancelled")).complete == plays
            assert await to.final("it") == ("delivered" if plays else "cancelled")
            assert (await to.say("next", SHORT)).status == "delivered"
            assert (await to.got("next")).ended is None
    finally:
        await proxy.stop()


async def test_without_the_setting_nothing_says_that_an_utterance_has_ended(js: JetStream, tmp_path: Path) -> None:
    async with call(js, tmp_path, frames=False, tts_engine_rtf=0.3) as to:
        assert (await to.say("plays")).status == "delivered"
        await to.begin("cut")
        await to.client.cancel("s")
        assert await to.final("cut") == "cancelled"
        assert (await to.say("next", SHORT)).status == "delivered"
        assert {(await to.got(request)).ended for request in ("plays", "cut", "next")} == {None}
        assert {(await to.got(request)).sample_rate for request in ("plays", "cut", "next")} == {None}


async def test_another_bridge_ends_what_a_killed_one_has_begun(tmp_path: Path, logs: Logs) -> None:
    server = NatsServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, WEBSOCKET_END_FRAMES="on")
    try:
        await stack.start("oraserver")
        await stack.start("synth", TTS_ENGINE_RTF=0.5)
        (killed,) = await stack.start("ws_bridge")
        async with stack.client() as client:
            await client.say(LONG * 2, session_id="s", phone_id="p", request_id="cut", fire_and_forget=True)

            async def checkpointed() -> bool:
                report = await client.report("s", "cut")
                return report is not None and report.status == "delivering"

            await until(checkpointed, "the report says that chunks were written")
            killed.kill()
            await client.cancel("s")
            await stack.start("ws_bridge")
            assert (await client.wait("s", "cut", WAIT_S)).status == "cancelled"

            async def ended() -> bool:
                (one,) = (await stack.received("s"))["utterances"]
                assert one["violations"] == []
                return bool(one["ended"] == "cancelled")

            await until(ended, "the other bridge has sent the end frame")
    finally:
        stack.kill()
        server.kill()


@pytest.mark.parametrize("use_websocket", [True, False])
@pytest.mark.parametrize(
    ("fmt", "rate", "expected"), [("pcm16", 16_000, 16_000), ("mulaw", None, 8_000), ("alaw", None, 8_000)]
)
async def test_raw_formats_come_with_their_sample_rate(
    js: JetStream, tmp_path: Path, use_websocket: bool, fmt: str, rate: int | None, expected: int
) -> None:
    async with call(js, tmp_path, frames=False, websocket_metadata="rate") as to:
        options = {} if rate is None else {"sample_rate": rate}
        report = await to.say("raw", SHORT, format=fmt, use_websocket=use_websocket, **options)
        assert report.status == "delivered"
        got = await to.got("raw")
        assert got.sample_rate == expected and got.transport == ("websocket" if use_websocket else "http")
        bytes_per_second = expected * (1 if fmt in ("mulaw", "alaw") else 2)
        assert got.bytes / bytes_per_second == pytest.approx(report.audio_seconds, abs=0.01)
