"""A resting session: what comes while it looks at its ownership, and when its bridge loses the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.delivery.rules import heard_book, lifetime
from orastream.delivery.runtime.outcomes import OwnershipRead
from orastream.delivery.runtime.owned_session import OwnedSession
from orastream.delivery.runtime.ownership import Owners, Ownership
from orastream.service.lifecycle import Process
from services.oraserver.app import OraServer, serve
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

REST_AFTER_S = 0.3


@pytest.fixture
async def oraserver(tmp_path: Path) -> AsyncIterator[OraServer]:
    async with serve(OraServer(tmp_path / "oraserver")) as server:
        yield server


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> list[OwnedSession]:
    """The sessions that the bridges of this process have taken."""
    found: list[OwnedSession] = []
    run = OwnedSession.run

    async def remembered(session: OwnedSession) -> None:
        found.append(session)
        await run(session)

    monkeypatch.setattr(OwnedSession, "run", remembered)
    return found


async def speak(client: Client, request: str, *, use_websocket: bool = True) -> str:
    report = await client.say(
        "네.",
        session_id="s",
        phone_id="p",
        request_id=request,
        use_websocket=use_websocket,
        fire_and_forget=False,
        wait_s=20,
    )
    return report.status


async def rested(process: Process) -> None:
    async def one() -> bool:
        return b"orastream_ws_bridge_sessions_at_rest 1.0" in process.metrics.render()

    await until(one, "the session rests", timeout_s=20)


async def test_a_request_that_comes_while_it_looks_whether_it_owns_the_session_is_spoken_at_once(
    nats_server: NatsServer, oraserver: OraServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "REST_AFTER_S", REST_AFTER_S)
    check, lapsed = Owners.check, OwnedSession.lapsed
    asked, held = asyncio.Event(), asyncio.Event()

    async def slow(owners: Owners, ownership: Ownership, lapse: int) -> OwnershipRead:
        asked.set()
        async with asyncio.timeout(20):
            await held.wait()
        return await check(owners, ownership, lapse)

    proxy = TcpProxy(nats_server.port)
    await proxy.start()
    try:
        async with (
            running_node(nats_server.url, oraserver.url, ("synth",)),
            running_node(
                f"nats://127.0.0.1:{proxy.port}", oraserver.url, ("ws_bridge",), websocket_idle_seconds=100
            ) as processes,
        ):
            assert await speak(client, "before") == "delivered"
            await rested(processes["ws_bridge"])
            monkeypatch.setattr(Owners, "check", slow)
            # Only the reconnect: what looks every few seconds would hide a wake-up that was missed.
            monkeypatch.setattr(OwnedSession, "lapsed", lambda session: asked.is_set() or lapsed(session))
            proxy.cut()

            async def broken() -> bool:
                return not processes["ws_bridge"].js.broker.connected

            await until(broken, "the bridge has lost its connection", timeout_s=20)
            proxy.heal()
            async with asyncio.timeout(20):
                await asked.wait()
            speaking = asyncio.create_task(speak(client, "after"))

            async def woken() -> bool:
                answer, _ = await client.broker.request(
                    "$JS.API.CONSUMER.INFO.TTS_SESSIONS.ws_bridge", b"", timeout_s=5
                )
                return b'"num_ack_pending":1' in answer

            await until(woken, "the bridge holds the wake-up", timeout_s=20)
            held.set()
            assert await speaking == "delivered"
    finally:
        await proxy.stop()
    assert (await oraserver.received("s")).connections.total == 1


async def test_a_session_at_rest_keeps_nothing_of_what_was_heard(
    nats_server: NatsServer,
    oraserver: OraServer,
    client: Client,
    owned: list[OwnedSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifetime, "REST_AFTER_S", REST_AFTER_S)
    monkeypatch.setattr(heard_book, "KEPT_S", 2.0)
    async with running_node(
        nats_server.url, oraserver.url, ("synth", "ws_bridge"), websocket_idle_seconds=100
    ) as processes:
        assert await speak(client, "r1") == "delivered"
        await rested(processes["ws_bridge"])
        (session,) = owned
        book = session._state.book
        assert book is not None and len(book) == 1, "a cancel can still show that less was heard"

        async def forgotten() -> bool:
            return not book

        await until(forgotten, "the utterance is forgotten", timeout_s=20)
        assert session.rests_since is not None


async def test_over_http_no_cancel_waits_for_records_that_nobody_reads(
    nats_server: NatsServer, oraserver: OraServer, client: Client, owned: list[OwnedSession]
) -> None:
    async with running_node(nats_server.url, oraserver.url, ("synth", "http_bridge")):
        assert await speak(client, "r1", use_websocket=False) == "delivered"
        await client.cancel("s")
        assert await speak(client, "r2", use_websocket=False) == "delivered"
        (session,) = owned
        assert session._state.book is not None and not session._state.book._cancels
