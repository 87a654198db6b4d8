"""After the end of a session nothing of it remains: no owner, no owner record, no wake-up, no stored message.

All kinds of ends run in parallel, each in its own session. Then each test checks the leftovers of one of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.messages import FINAL, Transport
from orastream.contract.names import SYNTH
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import Logs, until
from tests.support.scenes import TEXT, running_node
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

IDLE_S = 1
RELEASED_S = 30.0
"""Timeout in seconds; three times the expected time: 5 s idle time of http_bridge and up to 8 s between feed reads."""
PHONE = "phone-1"
TRANSPORTS: tuple[Transport | None, ...] = ("websocket", "http", None, "none")
BRIDGES = ("ws_bridge", "http_bridge")
Leftovers = dict[str, list[str]]


class Caller:
    """Publishes requests and cancels in one session."""

    def __init__(self, client: Client, js: JetStream, session: str, transport: Transport | None) -> None:
        self.client, self.js, self.session, self.transport = client, js, session, transport

    async def ask(self, request: str, text: str = TEXT, **fields: object) -> None:
        body = {"text": text, "sessionId": self.session, "phoneId": PHONE, "requestId": request, **fields}
        if self.transport is not None:
            body["transport"] = self.transport
        await self.js.store(NAMES.request(subjects.token(self.session)), json.dumps(body).encode())

    async def cancel(self, request: str | None = None) -> None:
        await self.client.cancel(self.session, request)

    async def ends(self, request: str, *expected: str) -> None:
        report = await self.client.wait(self.session, request, 60)
        assert report.status in (expected or FINAL), report

    async def begins(self, request: str) -> None:
        """Wait until some of its audio is stored: it is claimed and being synthesized."""

        async def spoken() -> bool:
            subject = NAMES.audio(subjects.token(self.session), subjects.token(request))
            return await self.js.last(NAMES.audio_stream, subject) is not None

        await until(spoken, f"{self.session}/{request} has stored audio", timeout_s=30)


async def delivered(caller: Caller) -> None:
    await caller.ask("a", "네, 알겠습니다.")
    await caller.ends("a", "delivered")


async def cancelled_while_it_is_spoken(caller: Caller) -> None:
    await caller.ask("a")
    await caller.begins("a")
    await caller.cancel()
    await caller.ends("a")


async def cancelled_by_its_id(caller: Caller) -> None:
    await caller.ask("a")
    await caller.ask("b", "네.")
    await caller.begins("a")
    await caller.cancel("a")
    await caller.ends("a")
    await caller.ends("b", "delivered")


async def cancelled_several_times(caller: Caller) -> None:
    await caller.ask("a")
    await caller.ask("b")
    await caller.begins("a")
    for request in (None, "a", None, "b", None):
        await caller.cancel(request)
    await caller.ends("a")
    await caller.ends("b")
    await caller.cancel()


async def cancelled_without_a_request(caller: Caller) -> None:
    await caller.cancel()
    await caller.cancel("none-of-that-id")


async def cancelled_then_requested_again(caller: Caller) -> None:
    await caller.ask("a")
    await caller.begins("a")
    await caller.cancel()
    await caller.ask("b", "네.")
    await caller.ends("a")
    await caller.ends("b", "delivered")
    await caller.cancel()


async def duplicate(caller: Caller) -> None:
    await caller.ask("a")
    await caller.ask("a", "네.")
    await caller.ends("a", "delivered")
    await caller.ask("a", "네.")
    await caller.cancel("a")


async def failed(caller: Caller) -> None:
    await caller.ask("a", "네.", engine="no-such-engine")
    await caller.ends("a", "failed")
    await caller.js.store(NAMES.request(subjects.token(caller.session)), b"not a map")


async def of_both_transports(caller: Caller) -> None:
    await caller.ask("a", "네.")
    caller.transport = "http" if caller.transport == "websocket" else "websocket"
    await caller.ask("b", "네.")
    await caller.ends("a", "delivered")
    await caller.ends("b", "delivered")


WHILE_SYNTH_SPEAKS = (
    delivered,
    cancelled_while_it_is_spoken,
    cancelled_by_its_id,
    cancelled_several_times,
    cancelled_without_a_request,
    cancelled_then_requested_again,
    duplicate,
    failed,
    of_both_transports,
)


async def cancelled_before_the_claim(caller: Caller) -> None:
    await caller.ask("a")
    await caller.cancel()
    await caller.ends("a", "cancelled")


async def expired(caller: Caller) -> None:
    await caller.ask("a", ttlSeconds=1)
    await caller.ends("a", "expired")


WITHOUT_SYNTH = (cancelled_before_the_claim, expired)
WAYS = [
    pytest.param(way.__name__, transport, id=f"{way.__name__}-{transport or 'left-open'}")
    for way in (*WITHOUT_SYNTH, *WHILE_SYNTH_SPEAKS)
    for transport in TRANSPORTS
]


def session_of(way: str, transport: Transport | None) -> str:
    return f"{way}-{transport or 'left-open'}"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("ends-node")
    options = {"TTS_ENGINE_RTF": 0.1, "SYNTH_SLOTS": 16, "WEBSOCKET_IDLE_SECONDS": IDLE_S}
    with running_node(folder, node_logs, replicas=1, **options) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(node: Stack) -> Leftovers:
    """The leftovers of each session, at most RELEASED_S after the last end, and in `node` those without a session."""
    async with Client(node.nats_server.url) as client:
        js = JetStream(client.broker)
        synth = node.only("synth")
        synth.freeze()
        try:
            await take(client, js, WITHOUT_SYNTH)
        finally:
            synth.thaw()
        await take(client, js, WHILE_SYNTH_SPEAKS)
        found: Leftovers = {}

        async def nothing() -> bool:
            nonlocal found
            found = await leftovers(node, js)
            return not found

        try:
            await until(nothing, "no leftovers remain", timeout_s=RELEASED_S, poll_s=0.5)
        except AssertionError:
            assert found
        return found


async def take(client: Client, js: JetStream, ways: tuple[Callable[[Caller], Awaitable[None]], ...]) -> None:
    async with asyncio.TaskGroup() as group:
        for way in ways:
            for transport in TRANSPORTS:
                caller = Caller(client, js, session_of(way.__name__, transport), transport)
                group.create_task(way(caller))  # type: ignore[arg-type]


async def leftovers(node: Stack, js: JetStream) -> Leftovers:
    found: Leftovers = {}
    for stream, subject, token in (
        (NAMES.sessions_stream, "tts.session.>", 2),
        (NAMES.owners_stream, NAMES.owner_key("*", "*"), 3),
    ):
        after = 0
        while (message := await js.after(stream, subject, after)) is not None:
            after = message.sequence
            found.setdefault(message.subject.split(".")[token], []).append(message.subject)
    for kind in BRIDGES:
        bridge = node.only(kind)
        for gauge in (f"orastream_{kind}_sessions", f"orastream_{kind}_sessions_without_work"):
            if value := await bridge.metric(gauge):
                found.setdefault("node", []).append(f"{gauge} {value:g}")
    for consumer in (*BRIDGES, SYNTH):
        info = await js.api(f"CONSUMER.INFO.{NAMES.sessions_stream}.{consumer}")
        if pending := info["num_ack_pending"] + info["num_pending"]:
            found.setdefault("node", []).append(f"{pending} pending of consumer {consumer}")
    return found


@pytest.mark.parametrize(("way", "transport"), WAYS)
async def test_ended_session_leaves_no_message_and_no_owner_record(
    left: Leftovers, way: str, transport: Transport | None, node_logs: Logs, logs: Logs, tmp_path: Path
) -> None:
    """No stored request or cancel, and no owner record."""
    logs.update(node_logs)
    assert left.get(session_of(way, transport), []) == []


async def test_no_bridge_owns_a_session_and_no_wake_up_is_pending(left: Leftovers, node_logs: Logs, logs: Logs) -> None:
    """Checked with the bridges' gauges and the consumers' states."""
    logs.update(node_logs)
    assert left.get("node", []) == []


async def test_session_without_work_is_counted_until_its_release(left: Leftovers, node: Stack) -> None:
    """A barge-in leaves an idle session: the gauge counts it until the bridge releases it."""
    bridge, gauge = node.only("ws_bridge"), "orastream_ws_bridge_sessions_without_work"
    async with Client(node.nats_server.url) as client:
        await cancelled_while_it_is_spoken(Caller(client, JetStream(client.broker), "counted", "websocket"))

        async def counted() -> bool:
            return await bridge.metric(gauge) == 1

        async def released() -> bool:
            return await bridge.metric(gauge) == 0 and await bridge.metric("orastream_ws_bridge_sessions") == 0

        await until(counted, "the session is counted", timeout_s=10)
        await until(released, "the session is released", timeout_s=10)
