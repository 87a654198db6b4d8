"""`Client.from_django()`: it connects at its first call, once for each event loop, and is closed with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orastream import Client, NodeUnavailable
from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from tests.support.ending import ending_all
from tests.support.nats_server import NatsServer

pytestmark = pytest.mark.integration

IDS = {"session_id": "s1", "phone_id": "p1"}


@pytest.fixture
def client(nats_server: NatsServer, js: JetStream, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client as a module of a Django project has it."""
    monkeypatch.setenv("NATS_URL", nats_server.url)
    return Client.from_django()


def connections(client: Client) -> int:
    """How many event loops have a connection of this client."""
    assert client._loops is not None
    return len(client._loops._loops)


async def in_a_loop(call: Callable[[], Awaitable[object]]) -> Any:
    """Run it in an event loop of its own, which ends with it."""

    async def run() -> object:
        return await call()

    return await asyncio.to_thread(lambda: asyncio.run(run()))


async def test_every_call_connects_by_itself(client: Client, js: JetStream) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "say": lambda: client.say("hello", **IDS),
        "report": lambda: client.report("s", "r"),
        "heard": lambda: client.heard("s", "r"),
        "cancel": lambda: client.cancel("s2"),
        "voices": lambda: client.voices(),
        "reports": lambda: anext(client.reports("s1", history=True)),
        "wait": lambda: client.wait("s1", "r1", 5),
    }
    async with ending_all(js, "delivered"):
        await in_a_loop(lambda: client.say("hello", **IDS, request_id="r1", fire_and_forget=False))
        for name, call in calls.items():
            await asyncio.wait_for(in_a_loop(call), 10)
            assert connections(client) == 0, name


async def test_a_text_stream_connects_by_itself(client: Client, js: JetStream) -> None:
    async def write() -> str:
        async with client.utterance(**IDS, fire_and_forget=False) as u:
            await u.write("hello")
        return (await u.wait(10)).status

    async with ending_all(js, "delivered"):
        assert await in_a_loop(write) == "delivered"


async def test_calls_of_one_loop_share_a_connection_and_loops_have_their_own(client: Client) -> None:
    brokers: list[Broker] = []

    async def say() -> None:
        await asyncio.gather(*(client.say("hello", **IDS) for _ in range(10)))
        own = client.broker
        brokers.append(own)
        await client.say("hello", **IDS)
        assert client.broker is own and own.connected

    await asyncio.gather(in_a_loop(say), in_a_loop(say))
    await say()
    assert len(set(map(id, brokers))) == 3
    assert [broker.closed.is_set() for broker in brokers] == [True, True, False]
    assert connections(client) == 1
    async with client:  # the block closes the connection of its loop
        pass
    assert connections(client) == 0 and brokers[2].closed.is_set()
    await client.say("hello", **IDS)
    await client.__aexit__(None, None, None)


async def test_a_connection_that_has_ended_for_good_is_replaced(client: Client) -> None:
    async def run() -> None:
        await client.say("hello", **IDS)
        ended = client.broker
        await ended.__aexit__(None, None, None)  # as after a server that refuses the user
        await client.say("hello", **IDS)
        assert client.broker is not ended and client.broker.connected and connections(client) == 1

    await in_a_loop(run)
    assert connections(client) == 0


async def test_close_ends_an_attempt_to_replace_a_connection(client: Client, nats_server: NatsServer) -> None:
    await client.say("hello", **IDS)
    await client.broker.__aexit__(None, None, None)
    nats_server.kill()
    waiting = asyncio.create_task(client.say("hello", **IDS))
    await asyncio.sleep(0.2)
    await client.__aexit__(None, None, None)
    with pytest.raises(NodeUnavailable, match="closed before it was connected"):
        await waiting
    assert connections(client) == 0
    await nats_server.start()
    await client.say("hello", **IDS)
    assert connections(client) == 1
    await client.__aexit__(None, None, None)


async def test_a_loop_that_is_closed_without_its_generators_is_forgotten(client: Client) -> None:
    def abrupt() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.say("hello", **IDS))
        loop.run_until_complete(client.__aexit__(None, None, None))
        loop.run_until_complete(client.report("s", "r"))
        broker = loop.run_until_complete(_broker(client))
        loop.run_until_complete(broker.__aexit__(None, None, None))
        loop.close()

    await asyncio.to_thread(abrupt)
    await client.say("hello", **IDS)
    assert connections(client) == 1
    await client.__aexit__(None, None, None)


async def _broker(client: Client) -> Any:
    return client.broker


async def test_what_needs_a_connection_says_that_there_is_none_yet(client: Client) -> None:
    with pytest.raises(RuntimeError, match="no connection in this event loop yet"):
        client.broker  # noqa: B018 - the access is what is tested
