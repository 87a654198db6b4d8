"""`Peers` on a real nats-server: a killed process is noticed; no message makes a process do anything else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from orastream.base import tasks
from orastream.broker import Broker, Headers
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream import peer_watch
from orastream.jetstream.peers import CHANGED_S, Peers
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

ACK = "$JS.ACK.TTS_SESSIONS.synth.1.2.3.4.5"


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_watch, "SETTLE_S", 0.0)


class Member:
    """One process of a service, on a connection of its own."""

    def __init__(self, url: str, name: str, *holds: str) -> None:
        self.gone: list[tuple[str, tuple[str, ...]]] = []
        self.broker = Broker(url, name=name, connect_timeout_s=5)
        self.name, self.holds = name, holds

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        async with self.broker:
            self.peers = Peers(
                self.broker,
                "synth",
                self.name,
                on_gone=lambda name, holds: self.gone.append((name, holds)),
                holds=lambda: self.holds,
            )
            running = asyncio.create_task(self.peers.run())

            async def subscribed() -> bool:
                try:
                    await self.broker.request(NAMES.peer("synth", self.name), b"", timeout_s=1)
                except NodeUnavailable:
                    return False
                return True

            try:
                await until(subscribed, f"{self.name} to answer probes", timeout_s=10)
                yield running
            finally:
                await tasks.end(running)


async def known(member: Member, name: str) -> None:
    async def is_known() -> bool:
        return name in member.peers._watch._peers

    await until(is_known, f"{member.name} to know {name}", timeout_s=10)


async def test_a_process_whose_connection_is_gone_is_noticed_with_what_it_held(nats_server: NatsServer) -> None:
    watcher = Member(nats_server.url, "synth-a")
    async with watcher.running():
        async with Broker(nats_server.url, name="dies", connect_timeout_s=5) as dies:
            beacon = json.dumps({"name": "synth-b", "holds": [ACK]}).encode()
            await dies.subscribe(NAMES.peer("synth", "synth-b"), lambda *_: None)
            await dies.publish(NAMES.peers("synth"), beacon)
            await known(watcher, "synth-b")
            assert watcher.gone == []

        async def noticed() -> bool:
            return watcher.gone == [("synth-b", (ACK,))]

        await until(noticed, "synth-b to be called gone", timeout_s=10)


async def test_a_live_process_is_not_called_gone_and_says_when_it_ends(nats_server: NatsServer) -> None:
    watcher, other = Member(nats_server.url, "synth-a"), Member(nats_server.url, "synth-b", ACK)
    async with watcher.running():
        async with other.running():
            await known(watcher, "synth-b")
            await known(other, "synth-a")
            await asyncio.sleep(1.5)
            assert watcher.gone == other.gone == []
        await asyncio.sleep(1.5)
        assert watcher.gone == [], "it has said that it ends"


@pytest.mark.parametrize(
    "beacon",
    [
        b"",
        b"[]",
        b"{",
        b'{"name": 7}',
        b'{"name": "ws_bridge-b"}',
        b'{"name": "synth-b", "holds": 3}',
        b'{"name": "synth-b", "holds": ["$JS.ACK.TTS_SESSIONS.ws_bridge.1.2.3.4.5"]}',
        b'{"name": "synth-b", "holds": ["$JS.API.STREAM.DELETE.TTS_SESSIONS"]}',
        b'{"name": "synth-b", "holds": ["$JS.ACK.TTS_SESSIONS.synth.1.2.3.4.>"]}',
        b"[" * 100_000,
    ],
)
async def test_a_beacon_that_no_process_of_this_service_sends_is_ignored(
    nats_server: NatsServer, broker: Broker, beacon: bytes
) -> None:
    watcher = Member(nats_server.url, "synth-a")
    async with watcher.running() as running:
        await broker.publish(NAMES.peers("synth"), beacon)
        await broker.publish(NAMES.peers("synth"), b'{"name": "synth-z"}')
        await known(watcher, "synth-z")
        assert "synth-b" not in watcher.peers._watch._peers and not running.done()


async def test_a_probe_is_answered_to_an_inbox_only(nats_server: NatsServer, broker: Broker) -> None:
    """A sender can name any reply subject. An answer to one of the JetStream API would be a valid call."""
    answers: list[str] = []

    def answered(subject: str, _reply: str, _data: bytes, _headers: Headers) -> None:
        answers.append(subject)

    watcher = Member(nats_server.url, "synth-a")
    async with watcher.running():
        await broker.subscribe("$JS.API.STREAM.DELETE.X", answered)
        probe = NAMES.peer("synth", "synth-a")
        await broker.publish(probe, b"", reply="$JS.API.STREAM.DELETE.X")
        await broker.request(probe, b"", timeout_s=5)
        await asyncio.sleep(0.2)
    assert answers == []


async def test_a_process_that_knows_no_other_one_is_silent_until_it_hears_one(
    nats_server: NatsServer, broker: Broker
) -> None:
    """Its changes interest nobody. What it holds by then is in its answer to the first beacon of another one."""
    beacons: list[dict[str, object]] = []
    lone = Member(nats_server.url, "synth-a")
    await broker.subscribe(
        NAMES.peers("synth"), lambda _subject, _reply, data, _headers: beacons.append(json.loads(data))
    )
    async with lone.running():
        await broker.round_trip()
        del beacons[:]
        for _ in range(5):
            lone.peers.changed()
            await asyncio.sleep(2 * CHANGED_S)
        lone.holds = (ACK,)
        lone.peers.changed()
        await asyncio.sleep(2 * CHANGED_S)
        assert beacons == []
        other = Member(nats_server.url, "synth-b")
        async with other.running():
            await known(other, "synth-a")
            await known(lone, "synth-b")

            async def told() -> bool:
                return {"name": "synth-a", "holds": [ACK]} in beacons

            await until(told, "synth-a to say what it holds", timeout_s=10)
            del beacons[:]
            lone.holds = ()
            lone.peers.changed()

            async def changed() -> bool:
                return {"name": "synth-a", "holds": []} in beacons

            await until(changed, "synth-a to say that it holds nothing", timeout_s=1)
