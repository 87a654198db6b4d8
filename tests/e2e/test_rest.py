"""A session without work for some seconds rests: it keeps its connection to OraServer, and no subscription."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from orastream.delivery.rules.lifetime import REST_AFTER_S
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RESTS_WITHIN_S = REST_AFTER_S + 30


@pytest.fixture
async def stack(tmp_path: Path, logs: Logs) -> AsyncIterator[Stack]:
    server = NatsServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, WEBSOCKET_IDLE_SECONDS=100)
    try:
        await stack.start("oraserver")
        await stack.start("synth", TTS_ENGINE_RTF=0.3)
        await stack.start("ws_bridge")
        yield stack
    finally:
        stack.kill()
        server.kill()


async def rested(stack: Stack) -> None:
    """Wait until nobody is subscribed to the session's reports."""
    async with stack.nats_server.connect() as connection:

        async def unheard() -> bool:
            try:
                await connection.request("tts.report.s.nobody", b"", timeout=0.5)
            except nats.errors.NoRespondersError:
                return True
            except nats.errors.TimeoutError:
                return False
            raise AssertionError("nobody answers on this subject")

        assert not await unheard(), "a session that has just spoken does not rest"
        await until(unheard, "the session rests", timeout_s=RESTS_WITHIN_S)


async def ask(stack: Stack, request: str, text: str = "네, 알겠습니다.") -> None:
    async with stack.client() as client:
        await client.say(
            text, session_id="s", phone_id="p", request_id=request, fire_and_forget=True, use_websocket=True
        )


async def final(stack: Stack, request: str) -> str:
    async with stack.client() as client:
        return (await client.wait("s", request, 30)).status


async def cancel_is_applied(stack: Stack) -> None:
    """A cancel for which nothing is stored is deleted: if it stayed, it would be delivered again and again."""
    async with stack.client() as client, stack.nats_server.connect() as connection:
        await client.cancel("s")

        async def applied() -> bool:
            streams = connection.jetstream()
            stored = (await streams.stream_info("TTS_SESSIONS")).state.messages
            held = (await streams.consumer_info("TTS_SESSIONS", "ws_bridge")).num_ack_pending
            return stored == held == 0

        await until(applied, "the cancel is deleted, and its wake-up acked")


async def test_after_a_rest_the_session_speaks_and_is_cancelled_over_the_same_connection(stack: Stack) -> None:
    await ask(stack, "before")
    assert await final(stack, "before") == "delivered"
    await rested(stack)
    await cancel_is_applied(stack)
    for request in ("first", "second"):
        await ask(stack, request)
    for request in ("first", "second"):
        assert await final(stack, request) == "delivered"
    await ask(stack, "cut", "이 문장은 깁니다. " * 20)

    async def begun() -> bool:
        return utterance_of(await stack.received("s"), "cut") is not None

    await until(begun, "it is being delivered")
    async with stack.client() as client:
        await client.cancel("s")
    assert await final(stack, "cut") == "cancelled"
    received: dict[str, Any] = await stack.received("s")
    assert [one["requestId"] for one in received["utterances"]] == ["before", "first", "second", "cut"]
    assert received["connections"]["total"] == 1


async def test_a_resting_session_without_its_record_of_ownership_is_given_up(stack: Stack) -> None:
    """Another bridge may have taken it: OraServer would have two connections of one session, for 100 s."""
    await ask(stack, "before")
    assert await final(stack, "before") == "delivered"
    await rested(stack)
    async with stack.nats_server.connect() as connection:
        await connection.jetstream().delete_stream("KV_tts_owners")

    async def given_up() -> bool:
        return await stack.only("ws_bridge").metric("orastream_ws_bridge_sessions") == 0

    await until(given_up, "the bridge has no session any more", timeout_s=30)
    assert (await stack.received("s"))["connections"]["open"] == 0
    await ask(stack, "after")
    assert await final(stack, "after") == "delivered"


async def test_a_resting_session_gives_up_its_connection_when_its_bridge_drains(stack: Stack) -> None:
    await ask(stack, "before")
    assert await final(stack, "before") == "delivered"
    await rested(stack)
    assert await stack.only("ws_bridge").stop() == 0
    await stack.start("ws_bridge")
    await ask(stack, "after")
    assert await final(stack, "after") == "delivered"
    received: dict[str, Any] = await stack.received("s")
    assert received["connections"]["total"] == 2


async def test_in_a_full_bridge_a_resting_session_gives_way(stack: Stack) -> None:
    """Else the next one would wait for its idle time, 100 s."""
    assert await stack.only("ws_bridge").stop() == 0
    await stack.start("ws_bridge", BRIDGE_MAX_SESSIONS=1)
    await ask(stack, "before")
    assert await final(stack, "before") == "delivered"
    await rested(stack)
    async with stack.client() as client:
        for request in ("one", "two"):
            report = await client.say(
                "네.", session_id="other", phone_id="p", request_id=request, fire_and_forget=False, wait_s=60
            )
            assert report.status == "delivered"
    received: dict[str, Any] = await stack.received()
    assert received["connections"]["open"] == 1, "the session that gave way has closed its connection"
