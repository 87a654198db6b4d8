"""What one utterance costs in messages to NATS, and how several bridges share sessions.

The table of docs/decisions/021-reads-only-where-something-can-be-missing.md says why each call is made.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TEXT = "네, 알겠습니다. 잠시만 기다려 주세요."
SETTLED_S = 1.3
"""So long after the session's first delivery its audio is taken live alone."""


@pytest.fixture
async def nodes(tmp_path: Path, logs: Logs) -> AsyncIterator[Stack]:
    """A nats-server and OraServer; each test starts the services that it needs."""
    server = NatsServer(tmp_path, logs, "-V")  # its trace shows what it gets, without a subscription
    await server.start()
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=64 << 20, TTS_PHRASE_CACHE="off")
    try:
        await stack.start("oraserver")
        yield stack
    finally:
        stack.kill()
        server.kill()


async def say(stack: Stack, session: str, request: str, **options: object) -> None:
    """Ask for the text. It is not waited for by NATS: the client's own calls would be counted."""
    async with stack.client() as client:
        await client.say(TEXT, session_id=session, phone_id="p", request_id=request, fire_and_forget=True, **options)


async def arrived(stack: Stack, session: str, request: str, timeout_s: float = 30) -> None:
    async def complete() -> bool:
        got = utterance_of(await stack.received(session), request)
        return got is not None and bool(got["complete"])

    await until(complete, f"{request} is complete at OraServer", timeout_s=timeout_s)


@contextlib.asynccontextmanager
async def counting(connection: NatsClient) -> AsyncIterator[Counter[str]]:
    """Count what processes of the node send while the context is open, but for what they send from time to time."""
    calls: Counter[str] = Counter()

    async def on_message(message: Msg) -> None:
        parts = message.subject.split(".")
        if message.data == b"+WPI":
            return  # by time, not for an utterance
        if message.subject.startswith("$JS.ACK."):
            calls[f"{parts[3] if len(parts) == 9 else parts[5]} {message.data[:4].decode()}"] += 1
        elif parts[1] != "API":
            calls[".".join(parts[:3])] += 1
        elif parts[2] != "CONSUMER" and "KV_" not in message.subject and not (parts[3] == "INFO" and not message.data):
            calls[".".join(parts[2:])] += 1

    subscriptions = [
        await connection.subscribe(subject, cb=on_message) for subject in ("$JS.API.>", "$JS.ACK.>", "tts.put.>")
    ]
    await connection.flush()
    yield calls
    await connection.flush()
    await asyncio.sleep(0.1)
    for subscription in subscriptions:
        await subscription.unsubscribe()


async def test_an_utterance_in_a_warm_session_reads_nothing_twice(nodes: Stack) -> None:
    for service in ("synth", "ws_bridge", "http_bridge"):
        await nodes.start(service)
    for request in ("first", "second"):
        await say(nodes, "s", request, use_websocket=True)
        await arrived(nodes, "s", request)
        await asyncio.sleep(SETTLED_S)
    for number in range(3):
        async with nodes.nats_server.connect() as connection, counting(connection) as calls:
            await say(nodes, "s", f"r{number}", use_websocket=True)
            await arrived(nodes, "s", f"r{number}")
            await asyncio.sleep(1.0)  # until everything is tidied up
        progress = nodes.nats_server.published("tts.progress.")
        gaps = [later - earlier for earlier, later in zip(progress, progress[1:], strict=False)]
        assert len(progress) >= 1 and all(gap > 4.9 for gap in gaps), "nobody watches: it looks for watchers at times"
        assert calls.pop("tts.put.audio") >= 3, "start, chunks, end"
        # One more of each if the utterance takes more than two seconds.
        assert 3 <= calls.pop("tts.put.report") <= 4, "the claim, the first chunk, the end"
        assert 1 <= calls.pop("tts.put.heard") <= 2, "it begins; the one before it has been played"
        assert 1 <= calls.pop("STREAM.INFO.TTS_AUDIO") <= 2, "synth: does its attempt still count?"
        assert calls == {
            "STREAM.MSG.GET.TTS_SESSIONS": 2,  # synth: is it stored, and not cancelled?
            "STREAM.MSG.DELETE.TTS_SESSIONS": 1,
            "synth +ACK": 1,
            "ws_bridge +ACK": 1,
            "http_bridge +ACK": 1,
        }, calls


async def test_audio_of_requests_that_wait_their_turn_is_not_read_again(nodes: Stack) -> None:
    """It comes before its delivery begins, and is kept."""
    for service in ("synth", "ws_bridge"):
        await nodes.start(service)
    await say(nodes, "s", "first", use_websocket=True)
    await arrived(nodes, "s", "first")
    await asyncio.sleep(SETTLED_S)
    async with nodes.nats_server.connect() as connection, counting(connection) as calls:
        for number in range(6):
            await say(nodes, "s", f"r{number}", use_websocket=True)
        await arrived(nodes, "s", "r5")
    assert calls["tts.put.audio"] >= 18, calls
    assert calls["DIRECT.GET.TTS_AUDIO"] == calls["STREAM.MSG.GET.TTS_AUDIO"] == 0, calls


async def test_a_wakeup_at_another_bridge_goes_to_the_owner_at_once(nodes: Stack) -> None:
    """No bridge refuses one, and each request wakes one of them once."""
    await nodes.start("synth")
    await nodes.start("ws_bridge", replicas=3)
    await say(nodes, "s", "r0", use_websocket=True)
    await arrived(nodes, "s", "r0")
    await asyncio.sleep(SETTLED_S)
    async with nodes.nats_server.connect() as connection:
        async with counting(connection) as calls:
            for number in range(1, 9):
                await say(nodes, "s", f"r{number}", use_websocket=True)
                await arrived(nodes, "s", f"r{number}")
            await asyncio.sleep(1.0)
        consumer = await connection.jetstream().consumer_info("TTS_SESSIONS", "ws_bridge")
    assert calls["ws_bridge -NAK"] == 0 and calls["ws_bridge +ACK"] == 8, calls
    assert consumer.num_ack_pending == consumer.num_redelivered == 0


async def test_a_cancel_at_another_bridge_goes_to_the_owner_at_once(nodes: Stack) -> None:
    """While the request is being delivered. A bridge that refused it would get it again and again."""
    await nodes.start("synth", TTS_ENGINE_RTF=0.5)
    await nodes.start("ws_bridge", replicas=3)
    async with (
        nodes.nats_server.connect() as connection,
        nodes.client() as client,
        counting(connection) as calls,
    ):
        for number in range(6):
            request = f"r{number}"
            await client.say(
                TEXT * 5, session_id="s", phone_id="p", request_id=request, fire_and_forget=True, use_websocket=True
            )

            async def begun(request: str = request) -> bool:
                return utterance_of(await nodes.received("s"), request) is not None

            await until(begun, f"{request} has begun")
            await client.cancel("s")
            assert (await client.wait("s", request, 30)).status == "cancelled"
        await asyncio.sleep(1.0)
        assert calls["ws_bridge -NAK"] == 0, calls
        kept = await connection.jetstream().stream_info("TTS_SESSIONS")
        assert kept.state.messages == 0


async def test_a_full_bridge_serves_its_sessions_and_leaves_the_others_to_another_bridge(nodes: Stack) -> None:
    await nodes.start("synth")
    (full,) = await nodes.start("ws_bridge", BRIDGE_MAX_SESSIONS=1)
    await say(nodes, "own", "r0", use_websocket=True)
    await arrived(nodes, "own", "r0")
    await say(nodes, "other", "r0", use_websocket=True)
    for number in (1, 2):
        await say(nodes, "own", f"r{number}", use_websocket=True)
        await arrived(nodes, "own", f"r{number}")
    assert utterance_of(await nodes.received("other"), "r0") is None
    assert (
        await full.metric("orastream_ws_bridge_sessions") == 1 == await full.metric("orastream_ws_bridge_max_sessions")
    )
    await nodes.start("ws_bridge")
    await arrived(nodes, "other", "r0")
    async with nodes.nats_server.connect() as connection:

        async def acked() -> bool:
            consumer = await connection.jetstream().consumer_info("TTS_SESSIONS", "ws_bridge")
            return consumer.num_ack_pending == consumer.num_pending == 0

        await until(acked, "all wake-ups are acked, also those of the full bridge's own session", timeout_s=20)
        kept = await connection.jetstream().stream_info("TTS_SESSIONS")
        assert kept.state.messages == 0
